namespace Trainer.Training.State;

/// <summary>One part of a run that was resumed as something else: with more steps, on other threads, or with options or files that differ.</summary>
/// <param name="FirstStep">Steps made before it.</param>
/// <param name="TotalSteps">Steps the schedule was made for.</param>
/// <param name="Threads">Threads that computed.</param>
/// <param name="Options">Its options.</param>
/// <param name="OtherFiles">Files that differed from the part before; empty where none did.</param>
internal sealed record RunSegment(int FirstStep, int TotalSteps, int Threads, TrainingOptions Options, IReadOnlyList<string> OtherFiles)
{
    /// <summary>The parts of a run that now goes on from a checkpoint; null where it is all one.</summary>
    /// <param name="then">The run's record as the checkpoint holds it.</param>
    /// <param name="scheduledSteps">Steps the schedule of the checkpoint was made for.</param>
    /// <param name="now">The run's record now.</param>
    /// <param name="firstStep">The checkpoint's step.</param>
    /// <param name="totalSteps">Steps the schedule is made for now.</param>
    public static IReadOnlyList<RunSegment>? Of(RunManifest then, int scheduledSteps, RunManifest now, int firstStep, int totalSteps)
    {
        if (firstStep == 0) return null;
        var (options, files) = (Drift.OfOptions(then.Settled, now.Settled).Refused, then.Files is { } old && now.Files is { } current
            ? Drift.OfFiles(old, current) : []);
        if (options.Count + files.Count == 0 && scheduledSteps == totalSteps && then.Threads == now.Threads) return then.Segments;
        var before = then.Segments ?? [new RunSegment(0, scheduledSteps, then.Threads, then.Settled, [])];
        return [.. before.Where(part => part.FirstStep < firstStep), new RunSegment(firstStep, totalSteps, now.Threads, now.Settled, files)];
    }
}
