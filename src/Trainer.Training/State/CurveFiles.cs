namespace Trainer.Training.State;

/// <summary>Where other tools' files of a run lie in its folder: whoever writes them, takes them along or deletes them must mean the same.</summary>
public static class CurveFiles
{
    /// <summary>The folder of TensorBoard's files.</summary>
    public const string EventsFolder = "runs";

    /// <summary>Their names.</summary>
    public const string Events = "events.out.tfevents.*";

    /// <summary>The folder of W&amp;B's files.</summary>
    public const string WandbFolder = "wandb";

    /// <summary>What the folder of a run begins with there.</summary>
    public const string WandbRun = "offline-run-";
}
