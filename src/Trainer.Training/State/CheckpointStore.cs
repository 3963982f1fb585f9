using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Data;
using Trainer.Training.Optimizers;
using Trainer.Training.Records;
using Trainer.Training.Steps;
using Trainer.Training.Watch;

namespace Trainer.Training.State;

/// <summary>Writes the checkpoints of one run, and replay bundles, which are checkpoints with the rows of one step beside them.</summary>
internal sealed class CheckpointStore(TrainingOptions options, RunManifest manifest, MetricsWriter metrics, TrainerStateWriter history, Events events,
    int totalSteps, int resumedFrom)
    : ICheckpoints, IReplayBundles
{
    private readonly string _runId = Fingerprint.Combined(new Dictionary<string, string>
    {
        ["base"] = manifest.BaseSha256 ?? "", ["data"] = manifest.DataSha256 ?? "", ["started"] = manifest.StartedUtc,
    });

    private int _lastSaved = resumedFrom;

    /// <summary>Begins the name of a replay bundle; the step it repeats follows.</summary>
    public const string BundlePrefix = "replay-step-";

    public string? LastGoodCheckpoint => _lastSaved < 0 ? null : CheckpointFolder.PathOf(options.OutputDirectory, _lastSaved);

    /// <summary>Bytes of one checkpoint: the adapter, its values again, the optimizer's state, and room for the texts.</summary>
    public static long BytesOf(long trainableParameters, long optimizerBytes) => trainableParameters * 4 * 2 + optimizerBytes + (256L << 10);

    private static long BytesOf(IAdaptedModel model, IOptimizer optimizer) =>
        BytesOf(model.Parameters.Count, optimizer.State.Sum(state => state.ByteCount));

    /// <summary>Asks the disk for the whole run before its first step.</summary>
    /// <param name="options">Where, how often and how many.</param>
    /// <param name="model">What a checkpoint holds.</param>
    /// <param name="optimizer">The other part of it.</param>
    /// <param name="stepsLeft">Steps to make.</param>
    /// <param name="freedBytes">Bytes that the start of the run frees.</param>
    /// <exception cref="CannotWriteException">It would not fit.</exception>
    public static void RequireSpace(TrainingOptions options, IAdaptedModel model, IOptimizer optimizer, int stepsLeft, long freedBytes)
    {
        // Where they come by epochs their number is not known here; a short epoch may end at every step.
        var made = options.SaveStrategy == Pace.Epoch
            ? Math.Max(1, (int)Math.Min(stepsLeft, Math.Ceiling(options.Epochs)))
            : options.SaveSteps > 0 ? (int)Math.Max(1, stepsLeft / TrainingOptions.Every(options.SaveSteps, stepsLeft)) : 1;
        var each = BytesOf(model, optimizer);
        // One more than are kept while the newest is written, and the best; the final adapter is less than a checkpoint.
        var kept = options.SaveTotalLimit > 0 ? Math.Min(made, options.SaveTotalLimit + 2) : made;
        DiskSpace.Require(options.OutputDirectory, ((kept + 1) * each) - freedBytes,
            $"the whole run ({kept} checkpoints of {Size.Of(each)} and the final adapter)");
    }

    public string Save(RunState state, IAdaptedModel model, IOptimizer optimizer)
    {
        var path = CheckpointFolder.PathOf(options.OutputDirectory, state.Step);
        if (state.Step == _lastSaved && Directory.Exists(path)) return path;
        events.Emit(new PhaseProgressed("saving", 0, 1));
        DiskSpace.Require(options.OutputDirectory, BytesOf(model, optimizer), $"the checkpoint of step {state.Step}");
        metrics.Flush();
        state.MetricsBytes = metrics.Length;
        state.ScheduledSteps = totalSteps;
        history.Keep(state);
        CheckpointFolder.Write(options.OutputDirectory, state.Step, _runId,
            folder => CheckpointContent.Write(folder, state, history.State(), manifest, model, optimizer));
        _lastSaved = state.Step;
        CheckpointFolder.Rotate(options.OutputDirectory, options.SaveTotalLimit, state.BestStep);
        events.Emit(new PhaseProgressed("saving", 1, 1));
        events.Emit(new Saved(state.Step, path, IsFinal: false));
        return path;
    }

    public string? Write(RunState state, IReadOnlyList<MicroBatch> step, IAdaptedModel model, IOptimizer optimizer)
    {
        var path = Path.Combine(options.OutputDirectory, $"{BundlePrefix}{state.Step + 1}");
        state.ScheduledSteps = totalSteps;
        try
        {
            AtomicFolder.Write(path, folder =>
            {
                // The replayed step starts from these values: PEFT refuses to read non-finite ones, so they lie in our own file alone.
                CheckpointContent.WriteState(folder, state, history.State(), manifest, model, optimizer);
                ReplayBatches.Write(folder, step);
            });
            return path;
        }
        catch (CannotWriteException fault)
        {
            events.Warn($"no replay bundle was written: {fault.Message}");
            return null;
        }
    }
}
