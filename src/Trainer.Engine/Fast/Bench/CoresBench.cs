using TorchSharp;
using Trainer.Engine.Fast.Operations;
using Trainer.Models;

namespace Trainer.Engine.Fast.Bench;

/// <summary>Computes steps on one core as if there were many, and tells by part what many would gain.</summary>
/// <remarks>
/// A few layers are computed and the others counted like them: the first one apart, which sends no gradient on, and so the forward passes that are made again.
/// The head takes its rows in chunks that are alike: of a large one a single chunk is computed, in a model of its own.
/// </remarks>
public static class CoresBench
{
    /// <summary>Layers that tell what all of them take: the first one and another.</summary>
    public const int LeastLayers = 2;

    private const int WarmUpTokens = 64;
    private const int ShortVocabulary = 1024;
    private const int NarrowBlock = 256;

    /// <summary>What is computed for the layers of a shape: a few of them, with a short head where a head of its own is computed apart.</summary>
    /// <param name="shape">The whole model.</param>
    /// <param name="layers">Layers that were asked for; null is as few as can be.</param>
    public static ModelShape Body(ModelShape shape, int? layers) => shape with
    {
        Name = shape.Name + "-layers", Layers = Math.Min(shape.Layers, Math.Max(LeastLayers, layers ?? LeastLayers)),
        Vocabulary = Math.Min(shape.Vocabulary, ShortVocabulary),
    };

    /// <summary>What is computed for the head of a shape: the head, below it as little as can be; null where <see cref="Body"/> has it whole.</summary>
    /// <param name="shape">The whole model.</param>
    public static ModelShape? Head(ModelShape shape) => shape.Vocabulary <= ShortVocabulary ? null
        : shape with { Name = shape.Name + "-head", Layers = 1, Wide = Math.Min(shape.Wide, NarrowBlock) };

    /// <summary>Loads the folders, puts adapters on them and computes steps for one core and for the team in turns; of each the quickest counts.</summary>
    /// <param name="options">What to compute; its threads do not matter.</param>
    /// <param name="shape">The whole model.</param>
    /// <param name="workers">Simulated cores.</param>
    /// <param name="progress">Told what is under way, a line at a time.</param>
    public static CoresReport Run(BenchOptions options, ModelShape shape, int workers, Action<string>? progress = null)
    {
        var (ofTwo, threads) = (SimulatedTeam.ForkJoinOfTwo(), torch.get_num_threads());
        var (one, many) = (TeamModel.Of(1, ofTwo), TeamModel.Of(workers, ofTwo));
        // What libtorch's own operators do in a step counts as one core's work.
        torch.set_num_threads(1);
        BenchClock.ThreadTime = true;
        try
        {
            var (alone, together, layers) = OfBody(options, one, many, shape.Layers, progress);
            if (options.HeadFolder is { } folder)
            {
                var (headAlone, headTogether) = OfHead(options with { Folder = folder }, one, many, progress);
                alone = alone with { Parts = WithLoss(alone.Parts, headAlone) };
                together = together with { Parts = WithLoss(together.Parts, headTogether) };
            }
            var parts = alone.Parts.Keys.Select(name => Part(name, alone.Parts[name], together.Parts[name])).ToList();
            return new CoresReport(shape, layers, options, many, ofTwo, together.Counts, together.Seconds, parts);
        }
        finally
        {
            torch.set_num_threads(threads);
            BenchClock.ThreadTime = false;
        }
    }

    private static (Measured Alone, Measured Together, int Layers) OfBody(
        BenchOptions options, TeamModel one, TeamModel many, int layers, Action<string>? progress)
    {
        using var model = Load(options, progress);
        var batch = StepBench.Batch(options, model.Config.VocabularySize);
        var (alone, together) = Rounds(model, batch, options.Steps, one, many, layers, progress);
        return (alone, together, model.Config.LayerCount);
    }

    // All rows, or a chunk of them that counts for all.
    private static (PartTime Alone, PartTime Together) OfHead(BenchOptions options, TeamModel one, TeamModel many, Action<string>? progress)
    {
        using var model = Load(options, progress);
        var rows = (long)options.Batch * (options.Sequence - 1);
        var chunk = FastHead.Chunk(new FastShape(model.Config), rows);
        // The last token of a row carries no loss.
        var batch = StepBench.Batch(options with { Batch = 1, Sequence = (int)chunk + 1 }, model.Config.VocabularySize);
        var (alone, together) = Rounds(model, batch, options.Steps, one, many, 1, progress);
        var loss = Name(StepPart.Loss);
        return (alone.Parts[loss] * ((double)rows / chunk), together.Parts[loss] * ((double)rows / chunk));
    }

    private static CausalModel Load(BenchOptions options, Action<string>? progress)
    {
        progress?.Invoke($"loading {options.Folder}");
        var model = CausalModel.Load(options.Folder, new ModelLoadOptions
        {
            Engine = EngineKind.Fast, GradientCheckpointing = options.Checkpointing, Quantize = options.Quantize, Compute = options.Compute,
        });
        BenchAdapter.Attach(model, options.Rank, options.Dropout);
        return model;
    }

    private static (Measured Alone, Measured Together) Rounds(
        CausalModel model, TokenBatch batch, int rounds, TeamModel one, TeamModel many, int layers, Action<string>? progress)
    {
        // The machine code of all operations and the pages of all weights are there before the first round, and those of the buffers.
        using (new SimulatedTeam(many))
        {
            var few = StepBench.Batch(new BenchOptions { Folder = "", Rank = 1, Sequence = WarmUpTokens }, model.Config.VocabularySize);
            using (var warm = new BenchStep(model, few)) warm.Run(0);
            ((FastEngine)model.Engine).Touch(batch, new StepKey(0, 0, 0));
        }
        using var bench = new BenchStep(model, batch);
        Measured? alone = null, together = null;
        for (var round = 0; round < Math.Max(1, rounds); round++)
        {
            alone = Better(alone, Measure(model, bench, one, round, layers, progress));
            together = Better(together, Measure(model, bench, many, round, layers, progress));
        }
        return (alone!, together!);
    }

    private static Measured Measure(CausalModel model, BenchStep bench, TeamModel team, int round, int layers, Action<string>? progress)
    {
        var meter = ((FastEngine)model.Engine).Meter;
        meter.Clear();
        using var simulated = new SimulatedTeam(team);
        var (start, looped, raw) = (BenchClock.Now, BenchClock.Looped, BenchClock.Raw);
        bench.Run(round);
        var all = new PartTime(BenchClock.Since(start), BenchClock.Seconds(BenchClock.Looped - looped));
        progress?.Invoke(FormattableString.Invariant(
            $"round {round + 1}, {team.Workers} cores: {all.Seconds:0.000} s modelled, {BenchClock.Seconds(BenchClock.Raw - raw):0.0} s computed"));
        return new Measured(Whole(meter, bench, all, model.Config.LayerCount, layers), all.Seconds, simulated.Counts);
    }

    // The parts of a step of all layers, from one of those that were computed.
    private static Dictionary<string, PartTime> Whole(StepMeter meter, BenchStep bench, PartTime all, int computed, int layers)
    {
        var others = computed == 1 ? 0 : (double)(layers - 1) / (computed - 1);
        double Times(StepPlace place) => place switch
        {
            StepPlace.FirstLayer => computed == 1 ? layers : 1,
            StepPlace.Layer or StepPlace.Recomputed => others,
            _ => 1,
        };
        PartTime Sum(Func<StepPlace, PartTime> time)
            => Enum.GetValues<StepPlace>().Aggregate(default(PartTime), (sum, place) => sum + (time(place) * Times(place)));
        var parts = Enum.GetValues<StepPart>().ToDictionary(Name, part => Sum(place => meter.Time(place, part)));
        parts["optimizer"] = bench.OptimizerTime * ((double)layers / computed);
        PartTime Rest(StepPlace place)
        {
            var whole = place != StepPlace.Around ? meter.Time(place, null) : Enum.GetValues<StepPlace>().Where(one => one != StepPlace.Around)
                .Aggregate(all - bench.OptimizerTime, (rest, one) => rest - meter.Time(one, null));
            return Enum.GetValues<StepPart>().Aggregate(whole, (rest, part) => rest - meter.Time(place, part));
        }
        parts["other"] = Sum(Rest);
        return parts;
    }

    private static Dictionary<string, PartTime> WithLoss(Dictionary<string, PartTime> parts, PartTime loss)
        => new(parts) { [Name(StepPart.Loss)] = loss };

    private static CoresPart Part(string name, PartTime one, PartTime many)
        => new(name, Math.Max(0, one.Seconds), Math.Max(0, many.Seconds), Math.Max(0, many.Seconds - many.InLoops));

    private static string Name(StepPart part) => part.ToString().ToLowerInvariant();

    private static Measured Better(Measured? before, Measured now) => before is not null && before.Seconds <= now.Seconds ? before : now;

    private sealed record Measured(Dictionary<string, PartTime> Parts, double Seconds, TeamCounts Counts);
}
