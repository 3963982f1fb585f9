using TorchSharp;
using Trainer.Engine.Fast.Operations;
using Trainer.Models;

namespace Trainer.Engine.Fast.Bench;

/// <summary>Computes steps on one core as if there were many, and tells by part what many would gain.</summary>
public static class CoresBench
{
    private const int WarmUpTokens = 64;

    /// <summary>Loads the folder, puts an adapter on it and computes steps for one core and for the team in turns; of each the quickest counts.</summary>
    /// <param name="options">What to compute; its threads do not matter.</param>
    /// <param name="shape">The whole model, of which the folder may hold a few layers.</param>
    /// <param name="workers">Simulated cores.</param>
    /// <param name="progress">Told what is under way, a line at a time.</param>
    public static CoresReport Run(BenchOptions options, ModelShape shape, int workers, Action<string>? progress = null)
    {
        var (ofTwo, threads) = (SimulatedTeam.ForkJoinOfTwo(), torch.get_num_threads());
        var (one, many) = (TeamModel.Of(1, ofTwo), TeamModel.Of(workers, ofTwo));
        progress?.Invoke($"loading {options.Folder}");
        using var model = CausalModel.Load(options.Folder, new ModelLoadOptions
        {
            Engine = EngineKind.Fast, GradientCheckpointing = options.Checkpointing, Quantize = options.Quantize, Compute = options.Compute,
        });
        BenchAdapter.Attach(model, options.Rank, options.Dropout);
        var layers = model.Config.LayerCount;
        // What libtorch's own operators do in a step counts as one core's work.
        torch.set_num_threads(1);
        BenchClock.ThreadTime = true;
        try
        {
            using (new SimulatedTeam(many))
            using (var warm = new BenchStep(model, StepBench.Batch(options with { Batch = 1, Sequence = WarmUpTokens }, shape.Vocabulary))) warm.Run(0);
            using var bench = new BenchStep(model, StepBench.Batch(options, shape.Vocabulary));
            Measured? alone = null, together = null;
            for (var round = 0; round < Math.Max(1, options.Steps); round++)
            {
                alone = Better(alone, Measure(model, bench, one, round, progress));
                together = Better(together, Measure(model, bench, many, round, progress));
            }
            var parts = alone!.Parts.Keys.Select(name => Whole(name, alone.Parts[name], together!.Parts[name], (double)shape.Layers / layers)).ToList();
            return new CoresReport(shape, layers, options, many, ofTwo, together!.Counts, together.Seconds, parts);
        }
        finally
        {
            torch.set_num_threads(threads);
            BenchClock.ThreadTime = false;
        }
    }

    private static Measured Measure(CausalModel model, BenchStep bench, TeamModel team, int round, Action<string>? progress)
    {
        var meter = ((FastEngine)model.Engine).Meter;
        meter.Clear();
        using var simulated = new SimulatedTeam(team);
        var (start, raw) = (BenchClock.Now, BenchClock.Raw);
        bench.Run(round);
        var seconds = BenchClock.Since(start);
        progress?.Invoke(FormattableString.Invariant(
            $"round {round + 1}, {team.Workers} cores: {seconds:0.000} s modelled, {BenchClock.Seconds(BenchClock.Raw - raw):0.0} s computed"));
        var parts = Enum.GetValues<StepPart>().ToDictionary(Name, meter.Seconds);
        parts["optimizer"] = bench.OptimizerSeconds;
        parts["other"] = seconds - parts.Values.Sum();
        return new Measured(parts, seconds, simulated.Counts);
    }

    private static string Name(StepPart part) => part.ToString().ToLowerInvariant();

    private static Measured Better(Measured? before, Measured now) => before is not null && before.Seconds <= now.Seconds ? before : now;

    // The head and its loss come once; everything else, the optimizer's work too, grows with the layers.
    private static CoresPart Whole(string name, double one, double many, double factor)
        => name == Name(StepPart.Loss) ? new(name, one, many) : new(name, one * factor, many * factor);

    private sealed record Measured(Dictionary<string, double> Parts, double Seconds, TeamCounts Counts);
}
