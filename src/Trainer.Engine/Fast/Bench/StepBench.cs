using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Numerics;
using Trainer.Numerics.Machine;

namespace Trainer.Engine.Fast.Bench;

/// <summary>Measures whole training steps of a model against the machine's ceilings, in one run.</summary>
public static class StepBench
{
    /// <summary>Loads the folder, puts an adapter on it and measures.</summary>
    /// <param name="options">What to measure.</param>
    /// <param name="progress">Told what is under way, a line at a time.</param>
    public static BenchReport Run(BenchOptions options, Action<string>? progress = null)
    {
        ResidentMemory.Configure();
        progress?.Invoke($"loading {options.Folder}");
        using var model = CausalModel.Load(options.Folder, new ModelLoadOptions
        {
            Engine = options.Engine, GradientCheckpointing = options.Checkpointing, Quantize = options.Quantize, Stream = options.Stream,
            Compute = options.Compute,
            StreamBytes = options.StreamBytes, StreamReads = options.StreamReads,
        });
        var shape = ModelShape.Of(Path.GetFileName(Path.TrimEndingDirectorySeparator(options.Folder)), model.Config);
        var tokens = (long)options.Batch * options.Sequence;
        progress?.Invoke("measuring ceilings");
        var shapes = model.Linears.Append(model.Head).GroupBy(linear => (linear.OutFeatures, linear.InFeatures))
            .Select(group => (group.Key.OutFeatures, group.Key.InFeatures, (long)group.Count())).ToList();
        var (copy, before) = (Ceilings.Copy(), Ceilings.Products(shapes, tokens, ComputeKind.Float32));
        var narrow = IsNarrow(options.Compute) ? Ceilings.Products(shapes, tokens, options.Compute) : (double?)null;
        ResidentMemory.Trim();
        BenchAdapter.Attach(model, options.Rank, options.Dropout);
        var batch = Batch(options, shape.Vocabulary);
        using var bench = new BenchStep(model, batch);
        var seconds = new List<double>();
        var losses = new List<double>();
        var residents = new List<long>();
        var meter = (model.Engine as FastEngine)?.Meter;
        double optimizing = 0;
        for (var step = 0; step <= options.Steps; step++)
        {
            if (options.Steps == 0 || step == 1) meter?.Clear();
            if (step == 1) optimizing = 0;
            var start = BenchClock.Now;
            losses.Add(bench.Run(step));
            optimizing += bench.OptimizerTime.Seconds;
            if (step > 0 || options.Steps == 0) seconds.Add(BenchClock.Since(start));
            residents.Add(SystemMemory.Resident);
            progress?.Invoke($"step {step}: {BenchClock.Since(start):0.00} s, loss {losses[^1]:0.0000}");
        }
        var beside = Beside(options, bench, seconds.Count, progress);
        var peak = SystemMemory.Peak;
        var resident = SystemMemory.Resident;
        var empty = model.Parameters.Entries.Where(entry => !model.Parameters.GradientsOf(entry).ContainsAnyExcept(0f)).Select(entry => entry.Name).ToList();
        var parts = Parts(meter, seconds, optimizing / seconds.Count);
        var buffers = meter is null ? 0 : FastEngine.BytesFor(model, batch, options.Checkpointing);
        var executed = meter is null ? 0 : meter.AllOperations / seconds.Count;
        return new BenchReport
        {
            Shape = shape, Options = options, Streaming = model.Engine.Streaming, Threads = ComputeThreads.Count, KernelWidth = Kernels.Width.ToString(),
            CopyGigabytes = copy, PeakGigaflops = Ceilings.Peak(), CeilingGigaflops = Math.Max(before, Ceilings.Products(shapes, tokens, ComputeKind.Float32)),
            ComputeCeilingGigaflops = narrow is { } first ? Math.Max(first, Ceilings.Products(shapes, tokens, options.Compute)) : null,
            StepSeconds = seconds, BesideSeconds = beside, TokensPerSecond = tokens / seconds.Min(),
            UsefulOperations = Useful(shape, options, batch.TrainedTokens),
            ExecutedOperations = executed,
            PeakBytes = peak, ResidentBytes = resident, ResidentAfterSteps = residents, BufferBytes = buffers, WeightBytes = model.WeightBytes,
            Parameters = model.Parameters.ParameterCount,
            Loss = (losses[0], losses[^1]), WithoutGradient = empty, Parts = parts,
        };
    }

    private static bool IsNarrow(ComputeKind kind) => kind is ComputeKind.BFloat16 or ComputeKind.Int8;

    private static double Useful(ModelShape shape, BenchOptions options, int trained)
    {
        var tokens = (double)options.Batch * options.Sequence;
        // Scores and values forward; their four gradients backward; half of each square where causal.
        var attention = options.Batch * 6.0 * shape.Layers * shape.Heads * shape.HeadSize * options.Sequence * options.Sequence;
        return 4.0 * shape.LayerParameters * tokens + 4.0 * shape.Vocabulary * shape.Hidden * trained + attention;
    }

    private static List<(string, double)> Parts(StepMeter? meter, List<double> seconds, double optimizing)
    {
        var parts = new List<(string, double)>();
        if (meter is not null)
            foreach (var part in Enum.GetValues<StepPart>()) parts.Add((part.ToString().ToLowerInvariant(), meter.Seconds(part) / seconds.Count));
        parts.Add(("optimizer", optimizing));
        parts.Add(("other", seconds.Average() - parts.Sum(part => part.Item2)));
        return parts;
    }

    private static List<double> Beside(BenchOptions options, BenchStep bench, int steps, Action<string>? progress)
    {
        var seconds = new List<double>();
        if (options.Beside == 0) return seconds;
        using var load = new BusyLoops(options.Beside);
        for (var step = 0; step < steps; step++)
        {
            var start = BenchClock.Now;
            bench.Run(options.Steps + 1 + step);
            seconds.Add(BenchClock.Since(start));
            progress?.Invoke($"beside {options.Beside} busy loops: {seconds[^1]:0.00} s");
        }
        return seconds;
    }

    /// <summary>Random tokens of the options' size.</summary>
    internal static TokenBatch Batch(BenchOptions options, int vocabulary)
    {
        var random = new Random(1);
        var rows = new List<(int[], int[])>();
        for (var b = 0; b < options.Batch; b++)
        {
            var ids = Enumerable.Range(0, options.Sequence).Select(_ => random.Next(vocabulary)).ToArray();
            rows.Add((ids, ids));
        }
        return TokenBatch.OfRows(rows);
    }
}
