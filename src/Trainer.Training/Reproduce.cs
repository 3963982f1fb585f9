using Trainer.Checkpoints;
using Trainer.Training.State;
using Trainer.Training.Watch;

namespace Trainer.Training;

/// <summary>Runs a finished run again from its run.json and compares the adapter's bytes.</summary>
public static class Reproduce
{
    /// <summary>Runs again into a folder of its own. A run that was resumed with more steps or other options is made again in the same parts.</summary>
    /// <param name="path">run.json, or the run folder.</param>
    /// <param name="outputDirectory">Where the second run goes; must not hold a run.</param>
    /// <param name="observers">Hear of the second run.</param>
    /// <param name="stop">Ends it early.</param>
    /// <param name="rewardCommands">The reward programs of a run that has some: none is started because a file names it.</param>
    /// <exception cref="BadFileException">run.json cannot be read, its run did not finish, or was resumed on other files than it began with.</exception>
    public static Reproduction Run(string path, string outputDirectory, IReadOnlyList<ITrainingObserver> observers, CancellationToken stop,
        IReadOnlyList<string>? rewardCommands = null)
    {
        var file = Directory.Exists(path) ? Path.Combine(path, RunManifest.FileName) : path;
        if (!File.Exists(file))
            throw new BadFileException($"there is no {RunManifest.FileName} at '{path}'; name the {RunManifest.FileName} of a finished run, or its folder");
        var then = RunManifest.Read(file);
        if (then.Outcome is not { } outcome)
            throw new BadFileException($"the run of '{file}' did not finish; finish it with --resume before reproducing it");
        var result = InParts(then, outputDirectory, observers, rewardCommands ?? [], stop);
        var now = RunManifest.Read(Path.Combine(outputDirectory, RunManifest.FileName));
        return new Reproduction(result.AdapterSha256 == outcome.AdapterSha256, outcome.AdapterSha256, result.AdapterSha256, Differences(then, now),
            outputDirectory);
    }

    private static TrainingResult InParts(RunManifest then, string outputDirectory, IReadOnlyList<ITrainingObserver> observers,
        IReadOnlyList<string> rewardCommands, CancellationToken stop)
    {
        TrainingOptions Again(TrainingOptions options, int threads) => options with { OutputDirectory = outputDirectory, Resume = null, AllowDrift = false,
            Threads = threads, OverwriteOutputDirectory = false, MaxTime = null, Grpo = options.Grpo with { RewardCommands = rewardCommands } };
        if (then.Segments is not { Count: > 0 } parts) return TrainingRun.Run(Again(then.Settled, then.Threads), observers, stop);
        if (parts.FirstOrDefault(part => part.OtherFiles.Count > 0) is { } changed)
            throw new BadFileException($"the run was resumed at step {changed.FirstStep} on other files than it began with "
                + $"(--allow-drift: {string.Join("; ", changed.OtherFiles)}): its first part cannot be made again from what is there now");
        for (var i = 0; ; i++)
        {
            var options = Again(parts[i].Options, parts[i].Threads) with { MaxSteps = parts[i].TotalSteps, Resume = i == 0 ? null : "auto",
                AllowDrift = i > 0 };
            if (i == parts.Count - 1) return TrainingRun.Run(options, observers, stop);
            using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
            try
            {
                TrainingRun.Run(options, [.. observers, new PartEnd(parts[i + 1].FirstStep, outputDirectory, end)], end.Token);
            }
            catch (RunInterruptedException) when (!stop.IsCancellationRequested)
            {
                // The next part goes on from the checkpoint that the first run went on from.
            }
        }
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

    /// <summary>Ends a part at its last step: a checkpoint is asked for, after the evaluation that may be due, and then the stop.</summary>
    private sealed class PartEnd(int lastStep, string directory, CancellationTokenSource end) : ITrainingObserver
    {
        public void On(TrainingEvent trainingEvent)
        {
            if (trainingEvent is StepDone done && done.Step == lastStep) File.WriteAllText(Path.Combine(directory, StopWatcher.SaveName), "");
            if (trainingEvent is Saved { IsFinal: false } saved && saved.Step == lastStep) end.Cancel();
        }
    }
}
