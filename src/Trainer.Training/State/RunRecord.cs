namespace Trainer.Training.State;

/// <summary>What one process keeps of a run on disk: metrics, log history, checkpoints, run.json. Of several ranks only the first has one.</summary>
internal sealed class RunRecord : IDisposable
{
    private readonly MetricsWriter _metrics;
    private readonly RunManifest _manifest;
    private readonly string _directory;
    private readonly int _totalSteps;

    private RunRecord(MetricsWriter metrics, CheckpointStore store, RunManifest manifest, string directory, int totalSteps) =>
        (_metrics, Store, _manifest, _directory, _totalSteps) = (metrics, store, manifest, directory, totalSteps);

    /// <summary>Checkpoints and replay bundles.</summary>
    public CheckpointStore Store { get; }

    /// <summary>Opens the files of a run that is about to make its first step; they hear its events from now on.</summary>
    public static RunRecord Begin(RunParts run, RunState state, RunManifest manifest, int totalSteps)
    {
        var (options, events, directory, checkpoint) = (run.Options, run.Events, run.Folder.Directory, run.Folder.Checkpoint);
        var metrics = MetricsWriter.Reopen(directory, checkpoint, events);
        var history = new TrainerStateWriter(options);
        if (checkpoint is not null) history.Restore(checkpoint.History, state);
        events.Add(metrics);
        events.Add(history);
        var store = new CheckpointStore(options, manifest, metrics, history, events, totalSteps,
            checkpoint is null || !run.Folder.IsOwn(checkpoint) ? -1 : state.Step);
        return new RunRecord(metrics, store, manifest, directory, totalSteps);
    }

    /// <summary>Writes run.json as the run begins.</summary>
    public void WriteBeginning() => _manifest.WriteWithSteps(_directory, _totalSteps);

    /// <summary>Writes run.json with what came out.</summary>
    public void WriteOutcome(RunOutcome outcome) => _manifest.WriteWithOutcome(_directory, _totalSteps, outcome);

    public void Dispose() => _metrics.Dispose();
}
