using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Runs;
using Trainer.Training.Records;

namespace Trainer.Training.State;

/// <summary>
/// A run's folder, held by one writer: what is in it decides whether a run may begin there and where a resumed one goes on.
/// Deciding changes nothing on disk; <see cref="Begin"/> does, once nothing can refuse the run any more.
/// </summary>
internal sealed class RunFolder : IDisposable
{
    /// <summary>Begins the name of a checkpoint that a resumed run has left behind.</summary>
    public const string Superseded = "superseded";

    /// <summary>Begins the name of a checkpoint that could not be read.</summary>
    public const string Damaged = "damaged";

    private readonly RunLock? _lock;
    private readonly TrainingOptions _options;
    private readonly Events _events;
    private readonly bool _isNew;
    private readonly bool _hadRecord;
    private readonly List<(string Path, string Prefix)> _aside = [];
    private HashSet<string> _before = [];
    private bool _replaces;

    private RunFolder(TrainingOptions options, RunLock? runLock, bool isNew, Events events)
    {
        (_options, _lock, _isNew, _events, Directory) = (options, runLock, isNew, events, options.OutputDirectory);
        _hadRecord = File.Exists(Path.Combine(Directory, RunManifest.FileName));
    }

    public string Directory { get; }

    /// <summary>run.json of the run that is resumed, or null for a fresh one.</summary>
    public RunManifest? Earlier { get; private set; }

    /// <summary>The checkpoint to go on from, or null.</summary>
    public CheckpointContent? Checkpoint { get; private set; }

    /// <summary>Whether the run got as far as its first step.</summary>
    public bool Began { get; private set; }

    /// <summary>Whether a fresh run may leave its record already: nothing of an earlier one is here.</summary>
    public bool IsFree => _lock is not null && Earlier is null && !_replaces && !_hadRecord;

    /// <summary>Bytes that the start of the run will free: those of the run it replaces.</summary>
    public long ReplacedBytes => _replaces ? EarlierRun.Bytes(Directory) : 0;

    /// <summary>Takes the folder and decides.</summary>
    /// <exception cref="OptionException">It holds another run, or there is nothing to resume where there should be.</exception>
    /// <exception cref="CannotWriteException">It cannot be written, or another trainer writes there.</exception>
    public static RunFolder Open(TrainingOptions options, Events events)
    {
        var directory = options.OutputDirectory;
        var isNew = !System.IO.Directory.Exists(directory);
        try
        {
            System.IO.Directory.CreateDirectory(directory);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw new CannotWriteException($"cannot make the run folder '{directory}': {fault.Message.TrimEnd('.')}; choose another --output-dir", fault);
        }
        var folder = new RunFolder(options, RunLock.Acquire(directory), isNew, events);
        try
        {
            RegularFile.RequireAll(directory);
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

    /// <summary>The folder as a rank other than the first has it: by name alone; nothing is read there, written or held.</summary>
    public static RunFolder Follow(TrainingOptions options, Events events) => new(options, null, isNew: false, events);

    /// <summary>The first step is about to be made: what this run replaces goes now, and not before.</summary>
    public void Begin()
    {
        if (_replaces)
        {
            EarlierRun.Delete(Directory);
            _events.Warn($"replaced the run in {Directory}");
        }
        foreach (var (path, prefix) in _aside) PutAside(path, prefix);
        _before = [.. Entries()];
        if (Checkpoint is { } checkpoint && !IsOwn(checkpoint))
        {
            BringBest(checkpoint);
            BringCurves(RunOf(checkpoint.Directory));
        }
        Began = true;
    }

    /// <summary>Takes back what a run that made no step has left here; an earlier run's files stay.</summary>
    public void Forget()
    {
        if (_lock is null) return;
        var isFresh = Began && Earlier is null && Checkpoint is null;
        if (IsFree || isFresh) File.Delete(Path.Combine(Directory, RunManifest.FileName));
        if (!isFresh) return;
        // Deepest first: a folder is empty when its turn comes.
        foreach (var path in Entries().Where(path => !_before.Contains(path) && Path.GetFileName(path) != RunLock.FileName)
            .OrderByDescending(path => path.Length).ToList()) Remove(path);
        Began = false;
    }

    private IEnumerable<string> Entries() => System.IO.Directory.EnumerateFileSystemEntries(Directory, "*", SearchOption.AllDirectories);

    private static void Remove(string path)
    {
        try
        {
            if (System.IO.Directory.Exists(path)) System.IO.Directory.Delete(path);
            else File.Delete(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // A log that is open still, where open files cannot be deleted: it is no run.
        }
    }

    /// <summary>Whether a checkpoint lies in this very folder.</summary>
    public bool IsOwn(CheckpointContent checkpoint) => FolderPath.AreSame(RunOf(checkpoint.Directory), Directory);

    public void Dispose()
    {
        if (_lock is null) return;
        _lock.Dispose();
        if (!_isNew || Began || !System.IO.Directory.Exists(Directory) || System.IO.Directory.EnumerateFileSystemEntries(Directory).Any()) return;
        System.IO.Directory.Delete(Directory);
    }

    private void RequireFree()
    {
        if (CheckpointFolder.Foreign(Directory) is [.., var foreign])
            throw new OptionException($"--output-dir '{Directory}' holds '{Path.GetFileName(foreign.Path)}', which this program did not write and a run would "
                + "replace: name another folder");
        if (!EarlierRun.IsIn(Directory)) return;
        if (!_options.OverwriteOutputDirectory)
        {
            var newest = CheckpointFolder.List(Directory) is [.., var top] ? $", newest checkpoint {top.Step}" : "";
            throw new OptionException($"--output-dir '{Directory}' holds another run{newest}: continue it with --resume, replace it with "
                + "--overwrite-output-dir, or name another folder");
        }
        _replaces = true;
    }

    private void FindCheckpoint(string resume)
    {
        var automatic = resume is "auto" or "true" or "";
        var source = automatic ? Directory : Path.TrimEndingDirectorySeparator(resume);
        if (!automatic && !System.IO.Directory.Exists(source))
            throw new OptionException($"--resume '{resume}': there is no such checkpoint; name a checkpoint-N folder or a run folder, or pass --resume alone "
                + "for the newest in --output-dir");
        var isCheckpoint = File.Exists(Path.Combine(source, CheckpointFolder.ManifestFile)) || CheckpointFolder.IsNamed(source);
        var run = isCheckpoint ? RunOf(source) : source;
        var isOwn = FolderPath.AreSame(run, Directory);
        var candidates = Candidates(run, isCheckpoint ? source : null);
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
                if (isOwn) _aside.Add((path, Damaged));
            }
        }
        Earlier = EarlierOf(run);
        if (Checkpoint is null) RestartOrRefuse(run, candidates.Count);
        else AfterFinding(isOwn);
    }

    private static IReadOnlyList<(long Step, string Path)> Candidates(string run, string? named)
    {
        if (named is not null) return [(0, named)];
        var own = CheckpointFolder.List(run);
        // Where there is nothing but another program's, reading one of them says why it cannot be resumed.
        if (own.Count == 0 && CheckpointFolder.Foreign(run) is [.., var foreign]) CheckpointFolder.Verify(foreign.Path);
        return own;
    }

    /// <summary>run.json as the run folder has it, or as the checkpoint has it where the folder's is lost.</summary>
    private RunManifest? EarlierOf(string run)
    {
        var path = Path.Combine(run, RunManifest.FileName);
        if (!File.Exists(path)) return Checkpoint?.Manifest;
        try
        {
            return RunManifest.Read(path);
        }
        catch (BadFileException fault) when (Checkpoint is { } checkpoint)
        {
            _events.Warn($"{fault.Message}; the checkpoint's own copy is taken");
            return checkpoint.Manifest;
        }
    }

    private void AfterFinding(bool isOwn)
    {
        if (!isOwn)
        {
            if (EarlierRun.IsIn(Directory) && !_options.OverwriteOutputDirectory)
                throw new OptionException($"--resume '{_options.Resume}' is not of the run in --output-dir '{Directory}': name an empty folder, or that "
                    + "checkpoint's own run folder");
            return;
        }
        foreach (var (step, path) in CheckpointFolder.List(Directory)
            .Where(found => found.Step > Checkpoint!.State.Step && _aside.TrueForAll(one => one.Path != found.Path)))
        {
            _events.Warn($"checkpoint-{step} is newer than the one to continue from and is put aside");
            _aside.Add((path, Superseded));
        }
    }

    /// <summary>
    /// No checkpoint to go on from. A run that was killed before its first one begins again, saying so;
    /// a run that had some, or whose every one is damaged, is refused.
    /// </summary>
    private void RestartOrRefuse(string run, int damaged)
    {
        var made = MetricsWriter.LastStep(Path.Combine(run, MetricsWriter.FileName));
        if (damaged > 0)
            throw new BadFileException($"all {damaged} checkpoints are damaged ({run}): there is nothing to resume from; begin again with "
                + "--overwrite-output-dir instead of --resume");
        if (_options.Resume is not ("auto" or "true" or ""))
            throw new OptionException($"--resume '{_options.Resume}': that folder holds no checkpoint; begin again without --resume");
        var every = Earlier?.Options.SaveSteps ?? 0;
        if (every >= 1 && made > every)
            throw new OptionException($"--resume: the run in '{run}' made {made} steps, but no checkpoint of it is left; restore one, or begin again with "
                + "--overwrite-output-dir instead of --resume");
        _events.Warn(Earlier is null
            ? $"nothing to resume: {run} holds no run yet; beginning at step 0"
            : $"nothing to resume: the run in {run} ended before its first checkpoint; beginning again at step 0");
        Earlier = null;
    }

    /// <summary>The best checkpoint comes along into another folder: early stopping takes its values, and the log history names it.</summary>
    private void BringBest(CheckpointContent checkpoint)
    {
        if (checkpoint.State.BestStep is not { } best) return;
        var source = best == checkpoint.State.Step ? checkpoint.Directory : CheckpointFolder.PathOf(RunOf(checkpoint.Directory), best);
        try
        {
            CheckpointFolder.Verify(source);
        }
        catch (BadFileException fault)
        {
            _events.Warn($"the best checkpoint so far, of step {best}, cannot be brought along: {fault.Message}");
            return;
        }
        AtomicFolder.Write(CheckpointFolder.PathOf(Directory, best), target =>
        {
            foreach (var file in System.IO.Directory.GetFiles(source)) File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        });
    }

    /// <summary>The curves come along, as the rows of metrics.jsonl do: TensorBoard's files, and W&amp;B's, whose names hold the run's id there.</summary>
    private void BringCurves(string run)
    {
        var events = Path.Combine(run, CurveFiles.EventsFolder);
        if (System.IO.Directory.Exists(events)) CopyFiles(events, Path.Combine(Directory, CurveFiles.EventsFolder), CurveFiles.Events);
        var wandb = Path.Combine(run, CurveFiles.WandbFolder);
        if (!System.IO.Directory.Exists(wandb)) return;
        foreach (var part in System.IO.Directory.GetDirectories(wandb, CurveFiles.WandbRun + "*"))
            CopyFiles(part, Path.Combine(Directory, CurveFiles.WandbFolder, Path.GetFileName(part)), "*");
    }

    private static void CopyFiles(string source, string target, string pattern)
    {
        System.IO.Directory.CreateDirectory(target);
        foreach (var file in System.IO.Directory.GetFiles(source, pattern))
            AtomicFile.Write(Path.Combine(target, Path.GetFileName(file)), temporary => File.Copy(file, temporary, overwrite: true));
    }

    private static string RunOf(string checkpoint) => Path.GetDirectoryName(FolderPath.Real(checkpoint))!;

    private static void PutAside(string path, string prefix)
    {
        var target = Path.Combine(Path.GetDirectoryName(path)!, $"{prefix}-{Path.GetFileName(path)}");
        for (var number = 2; System.IO.Directory.Exists(target); number++)
            target = Path.Combine(Path.GetDirectoryName(path)!, $"{prefix}-{Path.GetFileName(path)}.{number}");
        System.IO.Directory.Move(path, target);
    }
}
