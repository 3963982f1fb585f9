namespace Trainer.Engine.Fast.Bench;

/// <summary>What a step would take on many cores, by part.</summary>
/// <param name="Shape">The whole model's sizes.</param>
/// <param name="MeasuredLayers">Layers of it that were computed; times of layers are scaled to all.</param>
/// <param name="Options">What was computed.</param>
/// <param name="Model">The simulated team.</param>
/// <param name="ForkJoinOfTwo">Seconds that a loop cost two threads of this machine besides its work.</param>
/// <param name="Counts">Loops of a computed step.</param>
/// <param name="ComputedSeconds">Modelled seconds of a computed step.</param>
/// <param name="Parts">Each part's seconds on one core and on the team, for the whole model.</param>
public sealed record CoresReport(
    ModelShape Shape, int MeasuredLayers, BenchOptions Options, TeamModel Model, double ForkJoinOfTwo, TeamCounts Counts, double ComputedSeconds,
    IReadOnlyList<CoresPart> Parts)
{
    /// <summary>The whole step.</summary>
    public CoresPart Step => new("step", Parts.Sum(part => part.One), Parts.Sum(part => part.Many), Parts.Sum(part => part.Alone));

    /// <summary>The report in lines for a reader.</summary>
    public IEnumerable<string> Lines()
    {
        yield return Text($"shape {Shape.Name}  batch {Options.Batch} x {Options.Sequence}  rank {Options.Rank}  dropout {Options.Dropout}  ")
            + Text($"checkpointing {(Options.Checkpointing ? "on" : "none")}  ")
            + Text($"{MeasuredLayers} of {Shape.Layers} layers computed{(Options.HeadFolder is null ? "" : " and a chunk of the head")}, ")
            + Text($"the others counted like them");
        yield return Text($"{Model.Workers} simulated cores; a loop costs two threads here {ForkJoinOfTwo * 1e6:0.0} us, counted as ")
            + Text($"{Model.ForkJoin * 1e6:0.0} us for {Model.Workers}");
        yield return Text($"a computed step: {Counts.Loops} loops of {Counts.Chunks} chunks; {Counts.NarrowLoops} loops have fewer chunks than cores and take ")
            + Text($"{Counts.NarrowSeconds:0.0000} of its {ComputedSeconds:0.0000} s, what is in no loop takes ")
            + Text($"{ComputedSeconds - Counts.LoopSeconds:0.0000} s");
        yield return Text($"{"part",-12} {"1 core s",10} {$"{Model.Workers} cores s",12} {"in no loop s",13} {"speed-up",9} {"efficiency",11}");
        foreach (var part in Parts.Where(part => part.One > 0).Append(Step))
            yield return Text($"{part.Name,-12} {part.One,10:0.000} {part.Many,12:0.0000} {part.Alone,13:0.0000} {part.SpeedUp,9:0.0} ")
                + Text($"{part.SpeedUp / Model.Workers,11:0.00}");
        yield return "modelled: chunks (this thread's own time) taken in order by whoever is free, fork and join. Not modelled: memory and caches "
            + "that cores share, clock rates, other load";
    }

    private static string Text(FormattableString text) => FormattableString.Invariant(text);
}
