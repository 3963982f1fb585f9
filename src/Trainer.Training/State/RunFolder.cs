using Trainer.Checkpoints;

namespace Trainer.Training;

/// <summary>
/// A run's folder, held by one writer: what is in it decides whether a run may begin there and where a resumed one goes on.
/// </summary>
internal sealed class RunFolder : IDisposable
{
    private readonly RunLock _lock;
    private readonly TrainingOptions _options;
    private readonly Events _events;

    private RunFolder(TrainingOptions options, RunLock runLock, Events events) =>
        (_options, _lock, _events, Directory) = (options, runLock, events, options.OutputDirectory);

    public string Directory { get; }

    /// <summary>run.json of the run that is resumed, or null for a fresh one.</summary>
    public RunManifest? Earlier { get; private set; }

    /// <summary>The checkpoint to go on from, or null.</summary>
    public CheckpointContent? Checkpoint { get; private set; }

    /// <summary>Whether the run got as far as its first step.</summary>
    public bool Began { get; set; }

    /// <summary>Takes back what a run that never began has left here; an earlier run's files stay.</summary>
    public void Forget()
    {
        if (Earlier is null) File.Delete(Path.Combine(Directory, RunManifest.FileName));
    }

    /// <summary>Takes the folder and decides.</summary>
    /// <exception cref="OptionException">It holds another run, or there is nothing to resume where there should be.</exception>
    /// <exception cref="CannotWriteException">It cannot be written, or another trainer writes there.</exception>
    public static RunFolder Open(TrainingOptions options, Events events)
    {
        var directory = options.OutputDirectory;
        try
        {
            System.IO.Directory.CreateDirectory(directory);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CannotWriteException($"cannot make the run folder '{directory}': {fault.Message.TrimEnd('.')}; choose another --output-dir", fault);
        }
        var folder = new RunFolder(options, RunLock.Acquire(directory), events);
        try
        {
            AtomicFolder.CleanLeftovers(directory);
            if (options.Resume is null) folder.RequireFree();
            else folder.FindCheckpoint(options.Resume);
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Whether a checkpoint lies in this very folder.</summary>
    public bool IsOwn(CheckpointContent checkpoint) => Path.GetDirectoryName(Path.GetFullPath(checkpoint.Directory)) == Path.GetFullPath(Directory);

    public void Dispose() => _lock.Dispose();

    private static bool HoldsRun(string directory) =>
        File.Exists(Path.Combine(directory, RunManifest.FileName)) || File.Exists(Path.Combine(directory, "adapter_config.json")) || CheckpointFolder.List(directory).Count > 0;

    private void RequireFree()
    {
        if (!HoldsRun(Directory)) return;
        if (!_options.OverwriteOutputDirectory)
        {
            var newest = CheckpointFolder.List(Directory) is [.., var top] ? $", newest checkpoint {top.Step}" : "";
            throw new OptionException($"--output-dir '{Directory}' holds another run{newest}: continue it with --resume, replace it with --overwrite-output-dir, or name another folder");
        }
        foreach (var (_, path) in CheckpointFolder.List(Directory)) AtomicFolder.Delete(path);
        foreach (var name in new[] { "adapter_model.safetensors", "adapter_config.json", MetricsWriter.FileName, TrainerState.FileName, RunManifest.FileName })
            File.Delete(Path.Combine(Directory, name));
        _events.Warn($"replaced the run in {Directory}");
    }

    private void FindCheckpoint(string resume)
    {
        var automatic = resume is "auto" or "true" or "";
        var source = automatic ? Directory : Path.TrimEndingDirectorySeparator(resume);
        if (!automatic && !System.IO.Directory.Exists(source))
            throw new OptionException($"--resume '{resume}': there is no such checkpoint; name a checkpoint-N folder or a run folder, or pass --resume alone for the newest in --output-dir");
        var isCheckpoint = File.Exists(Path.Combine(source, CheckpointFolder.ManifestFile));
        var run = isCheckpoint ? Path.GetDirectoryName(Path.GetFullPath(source))! : source;
        if (File.Exists(Path.Combine(run, RunManifest.FileName))) Earlier = RunManifest.Read(Path.Combine(run, RunManifest.FileName));
        IReadOnlyList<(long Step, string Path)> candidates = isCheckpoint ? [(0, source)] : CheckpointFolder.List(run);
        foreach (var (step, path) in candidates.Reverse())
        {
            try
            {
                Checkpoint = CheckpointContent.Read(path);
                break;
            }
            catch (BadFileException fault) when (!isCheckpoint)
            {
                _events.Warn($"checkpoint-{step} is damaged and left aside ({fault.Message})");
                if (Path.GetFullPath(run) == Path.GetFullPath(Directory)) PutAside(path, "damaged");
            }
        }
        if (Checkpoint is null) RestartOrRefuse(run, candidates.Count);
        else AfterFinding(run);
    }

    private void AfterFinding(string run)
    {
        if (Path.GetFullPath(run) != Path.GetFullPath(Directory))
        {
            if (HoldsRun(Directory) && !_options.OverwriteOutputDirectory)
                throw new OptionException($"--resume '{_options.Resume}' is not of the run in --output-dir '{Directory}': name an empty folder, or that checkpoint's own run folder");
            return;
        }
        foreach (var (step, path) in CheckpointFolder.List(Directory).Where(found => found.Step > Checkpoint!.State.Step))
        {
            _events.Warn($"checkpoint-{step} is newer than the one to continue from and was put aside");
            PutAside(path, "superseded");
        }
    }

    /// <summary>
    /// No checkpoint to go on from. A run that was killed before its first one begins again, saying so;
    /// a run that had some, or whose every one is damaged, is refused.
    /// </summary>
    private void RestartOrRefuse(string run, int damaged)
    {
        var made = RowsMade(Path.Combine(run, MetricsWriter.FileName));
        if (damaged > 0)
            throw new BadFileException($"all {damaged} checkpoints are damaged ({run}): there is nothing to resume from; begin again with --overwrite-output-dir instead of --resume");
        if (_options.Resume is not ("auto" or "true" or ""))
            throw new OptionException($"--resume '{_options.Resume}': that folder holds no checkpoint; begin again without --resume");
        var every = Earlier?.Options.SaveSteps ?? 0;
        if (every > 0 && made > every)
            throw new OptionException($"--resume: the run in '{run}' made {made} steps, but no checkpoint of it is left; restore one, or begin again with --overwrite-output-dir instead of --resume");
        _events.Warn(Earlier is null
            ? $"nothing to resume: {run} holds no run yet; beginning at step 0"
            : $"nothing to resume: the run in {run} ended before its first checkpoint; beginning again at step 0");
        Earlier = null;
    }

    private static long RowsMade(string metrics)
    {
        if (!File.Exists(metrics)) return 0;
        long step = 0;
        foreach (var line in File.ReadLines(metrics))
        {
            try
            {
                using var row = System.Text.Json.JsonDocument.Parse(line);
                if (row.RootElement.TryGetProperty("step", out var value)) step = Math.Max(step, value.GetInt64());
            }
            catch (System.Text.Json.JsonException)
            {
                // The last row of a killed run may be half written.
            }
        }
        return step;
    }

    private static void PutAside(string path, string prefix)
    {
        var target = Path.Combine(Path.GetDirectoryName(path)!, $"{prefix}-{Path.GetFileName(path)}");
        if (System.IO.Directory.Exists(target)) System.IO.Directory.Delete(target, recursive: true);
        System.IO.Directory.Move(path, target);
    }
}
