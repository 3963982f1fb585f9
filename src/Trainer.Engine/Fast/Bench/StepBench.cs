using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Numerics;
using Trainer.Numerics.Machine;
using Trainer.Numerics.Optimizer;

namespace Trainer.Engine.Fast.Bench;

/// <summary>Measures whole training steps of a model against the machine's ceilings, in one run.</summary>
public static unsafe class StepBench
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
        BenchAdapter.Attach(model, options.Rank);
        var batch = Batch(options, shape.Vocabulary);
        using var moments = new Arena(2 * model.Parameters.Length * sizeof(float) + 256);
        var optimizer = new Optimizer(model, moments);
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
            model.Parameters.ZeroGradients();
            var loss = model.ForwardBackward(batch, 1.0 / batch.TrainedTokens, new StepKey(0, step, 0));
            losses.Add(loss.LossSum / loss.TrainedTokens);
            var stepped = BenchClock.Now;
            optimizer.Step(step + 1);
            optimizing += BenchClock.Since(stepped);
            if (step > 0 || options.Steps == 0) seconds.Add(BenchClock.Since(start));
            residents.Add(SystemMemory.Resident);
            progress?.Invoke($"step {step}: {BenchClock.Since(start):0.00} s, loss {losses[^1]:0.0000}");
        }
        var peak = SystemMemory.Peak;
        var resident = SystemMemory.Resident;
        var empty = model.Parameters.Entries.Where(entry => !model.Parameters.GradientsOf(entry).ContainsAnyExcept(0f)).Select(entry => entry.Name).ToList();
        var parts = Parts(meter, seconds, optimizing / seconds.Count);
        var buffers = meter is null ? 0 : FastEngine.BytesFor(model, batch, options.Checkpointing);
        var executed = meter is null ? 0 : meter.AllOperations / seconds.Count;
        return new BenchReport
        {
            Shape = shape, Options = options, Streaming = model.Engine.Streaming, Threads = torch.get_num_threads(), KernelWidth = Kernels.Width.ToString(),
            CopyGigabytes = copy, PeakGigaflops = Ceilings.Peak(), CeilingGigaflops = Math.Max(before, Ceilings.Products(shapes, tokens, ComputeKind.Float32)),
            ComputeCeilingGigaflops = narrow is { } first ? Math.Max(first, Ceilings.Products(shapes, tokens, options.Compute)) : null,
            StepSeconds = seconds, TokensPerSecond = tokens / seconds.Min(), UsefulOperations = Useful(shape, options, batch.TrainedTokens),
            ExecutedOperations = executed,
            PeakBytes = peak, ResidentBytes = resident, ResidentAfterSteps = residents, BufferBytes = buffers, WeightBytes = model.WeightBytes,
            Parameters = model.Parameters.ParameterCount,
            Loss = (losses[0], losses[^1]), WithoutGradient = empty, Parts = parts,
        };
    }

    private static bool IsNarrow(ComputeKind kind) => kind is ComputeKind.BFloat16 or ComputeKind.Int8;

    private static double Useful(ModelShape shape, BenchOptions options, int trained)
    {
        double tokens = (double)options.Batch * options.Sequence;
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

    private static TokenBatch Batch(BenchOptions options, int vocabulary)
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

    private sealed class Optimizer(CausalModel model, Arena moments)
    {
        private readonly float* _first = Zeros(moments, model.Parameters.Length);
        private readonly float* _second = Zeros(moments, model.Parameters.Length);
        private readonly double[] _sums = new double[FlatAdamW.NormChunks(model.Parameters.Length)];

        public void Step(int step)
        {
            var parameters = model.Parameters;
            float* values = parameters.ValuePointer, gradients = parameters.GradientPointer;
            fixed (double* sums = _sums)
            {
                var target = sums;
                TorchThreads.For(0, _sums.Length, 4, (begin, end) => FlatAdamW.SquaredNorms(gradients, parameters.Length, target, begin, end));
            }
            var norm = Math.Sqrt(_sums.Sum());
            var numbers = new AdamWStep(1e-4, 0.9, 0.999, 1e-8, 0, norm > 1 ? 1 / norm : 1, step);
            TorchThreads.For(0, parameters.Length, 1 << 14, (begin, end) => FlatAdamW.Step(values, gradients, _first, _second, begin, end, numbers));
        }

        private static float* Zeros(Arena arena, long count)
        {
            var zeros = arena.Floats(count);
            NativeMemory.Clear(zeros, (nuint)count * sizeof(float));
            return zeros;
        }
    }
}
