using Trainer.Checkpoints;

namespace Trainer.Training;

/// <summary>Runs a finished run again from its run.json and compares the adapter's bytes.</summary>
public static class Reproduce
{
    /// <summary>Runs again into a folder of its own.</summary>
    /// <param name="path">run.json, or the run folder.</param>
    /// <param name="outputDirectory">Where the second run goes; must not hold a run.</param>
    /// <param name="observers">Hear of the second run.</param>
    /// <param name="stop">Ends it early.</param>
    /// <exception cref="BadFileException">run.json cannot be read, or its run did not finish.</exception>
    public static Reproduction Run(string path, string outputDirectory, IReadOnlyList<ITrainingObserver> observers, CancellationToken stop)
    {
        var file = Directory.Exists(path) ? Path.Combine(path, RunManifest.FileName) : path;
        if (!File.Exists(file)) throw new BadFileException($"there is no {RunManifest.FileName} at '{path}'; name the {RunManifest.FileName} of a finished run, or its folder");
        var then = RunManifest.Read(file);
        if (then.Outcome is not { } outcome)
            throw new BadFileException($"the run of '{file}' did not finish; finish it with --resume before reproducing it");
        var options = then.Settled with { OutputDirectory = outputDirectory, Resume = null, Threads = then.Threads, OverwriteOutputDirectory = false, MaxTime = null };
        var result = TrainingRun.Run(options, observers, stop);
        var now = RunManifest.Read(Path.Combine(outputDirectory, RunManifest.FileName));
        return new Reproduction(result.AdapterSha256 == outcome.AdapterSha256, outcome.AdapterSha256, result.AdapterSha256, Differences(then, now), outputDirectory);
    }

    private static List<string> Differences(RunManifest then, RunManifest now)
    {
        var found = then.Files is { } before && now.Files is { } after ? Drift.Between(then.Options, before, then.Options, after).Refused : [];
        void Compare(string what, string? old, string? current)
        {
            if (old != current) found.Add($"{what} was {old} and is {current}");
        }
        Compare("trainer", then.TrainerVersion, now.TrainerVersion);
        Compare("the runtime", then.Runtime, now.Runtime);
        Compare("the processor", then.Machine?.Processor, now.Machine?.Processor);
        return found;
    }
}
