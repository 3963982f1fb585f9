using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Runs;

namespace Trainer.Training.State;

/// <summary>What a run has left in a folder, for the one that takes its place.</summary>
internal static class EarlierRun
{
    // The adapter goes before its record: a deletion that is cut off still shows that a run was here.
    private static readonly string[] Files =
    [
        PeftFolder.WeightsFile, PeftFolder.ConfigFile, TrainerState.FileName, "report.html", "recipe.yaml", MetricsWriter.FileName, RunManifest.FileName,
    ];

    private static readonly string[] Folders = [RunFolder.Superseded + "-*", RunFolder.Damaged + "-*", CheckpointStore.BundlePrefix + "*"];

    /// <summary>Whether a run began here: one that was refused or stopped before its first step leaves nothing worth keeping.</summary>
    public static bool IsIn(string directory) =>
        File.Exists(Path.Combine(directory, PeftFolder.ConfigFile))
        || CheckpointFolder.List(directory).Count > 0
        || (File.Exists(Path.Combine(directory, RunManifest.FileName)) && File.Exists(Path.Combine(directory, MetricsWriter.FileName)));

    /// <summary>Bytes that <see cref="Delete"/> frees.</summary>
    public static long Bytes(string directory) =>
        FoldersOf(directory).SelectMany(folder => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)).Concat(FilesOf(directory))
        .Sum(file => new FileInfo(file).Length);

    /// <summary>Deletes checkpoints, adapter, records, logs and event files. What no run writes stays.</summary>
    /// <exception cref="CannotWriteException">Something cannot be deleted.</exception>
    public static void Delete(string directory)
    {
        try
        {
            foreach (var folder in FoldersOf(directory)) AtomicFolder.Delete(folder);
            foreach (var file in FilesOf(directory)) File.Delete(file);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CannotWriteException($"cannot delete the run in '{directory}' (--overwrite-output-dir): {fault.Message.TrimEnd('.')}; change the "
                + "rights, or choose another --output-dir", fault);
        }
    }

    private static List<string> FoldersOf(string directory)
    {
        if (!Directory.Exists(directory)) return [];
        var wandb = Path.Combine(directory, CurveFiles.WandbFolder);
        return
        [
            .. CheckpointFolder.List(directory).Select(found => found.Path),
            .. Folders.SelectMany(pattern => Directory.GetDirectories(directory, pattern)),
            .. Directory.Exists(wandb) ? Directory.GetDirectories(wandb, CurveFiles.WandbRun + "*") : [],
        ];
    }

    private static List<string> FilesOf(string directory)
    {
        if (!Directory.Exists(directory)) return [];
        var events = Path.Combine(directory, CurveFiles.EventsFolder);
        return
        [
            .. Directory.Exists(events) ? Directory.GetFiles(events, CurveFiles.Events) : [],
            .. Directory.GetFiles(directory, "trainer*.log"),
            .. Files.Select(name => Path.Combine(directory, name)).Where(File.Exists),
        ];
    }
}
