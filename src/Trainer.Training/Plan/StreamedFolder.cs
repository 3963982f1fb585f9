using Trainer.Checkpoints;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Families;
using Trainer.Numerics.Machine;
using Trainer.Training.Records;
using Trainer.Training.State;

namespace Trainer.Training.Plan;

/// <summary>The folder that a streamed base is read from: the model's own where it is used as it lies there, else a 4-bit one that is made once.</summary>
/// <remarks>
/// Made folders lie in <c>nf4/NAME-HASH</c> of the user's cache (<c>TRAINER_CACHE</c>, else <c>XDG_CACHE_HOME/trainer</c>, else <c>~/.cache/trainer</c>).
/// The hash is of the base's files and the kind of quantization, so a changed base never meets an old folder.
/// </remarks>
internal static class StreamedFolder
{
    // A broken-off work goes on after its last whole shard.
    private const long ShardBytes = 1L << 30;

    /// <summary>Refuses options that the base on disk contradicts.</summary>
    /// <exception cref="OptionException">Names them.</exception>
    public static void RequireAgreement(TrainingOptions options, ModelConfig config)
    {
        if (options.Stream != Choice.On) return;
        var kind = options.Quantize.ToString().ToLowerInvariant();
        // Any form is read from its mapped file.
        if (config.StoredQuantization is { IsNf4: false } && options.Quantize == QuantizeKind.None) return;
        if (config.StoredQuantization is { IsNf4: false } other)
            throw new OptionException($"--quantize {kind} --stream on: '{options.Model}' is stored as {other.Name} and is read as it lies; leave --quantize "
                + "out, or pass the original model");
        if (config.StoredQuantization is { } stored)
        {
            if (options.Quantize != QuantizeKind.Nf4)
                throw new OptionException($"--quantize {kind} --stream on: '{options.Model}' is an nf4 folder and is read as it lies; leave --quantize out, "
                    + "or pass the original model");
            if (stored.DoubleQuantized && !options.DoubleQuant)
                throw new OptionException($"--double-quant false --stream on: '{options.Model}' was quantized with it and is read as it lies; leave the "
                    + "option out, or pass the original model");
        }
        else if (options.Quantize == QuantizeKind.Int8)
            throw new OptionException("--quantize int8 --stream on: only nf4 and a base as stored can be read from disk as they are used; take --quantize nf4");
    }

    /// <summary>Refuses to measure what would first have to be made.</summary>
    /// <exception cref="ModelException">The plan streams from a folder that only a run makes.</exception>
    public static void RequireMade(TrainingOptions options, RunPlan plan)
    {
        if (plan.Stream && IsMade(options, ConfigLoader.Load(options.ModelDirectory)))
            throw new ModelException("the 4-bit folder to stream from is made by the first run; write one with 'trainer quantize' and pass that to measure "
                + "now");
    }

    /// <summary>The folder, made now if it must be and is not there.</summary>
    /// <param name="options">The run, which streams.</param>
    /// <param name="files">Hashes of the base.</param>
    /// <param name="events">Hears where it is, and of progress.</param>
    /// <param name="stop">Ends the making; what is done is kept.</param>
    /// <exception cref="CannotWriteException">The disk has no room, or the cache cannot be written.</exception>
    public static string Of(TrainingOptions options, Fingerprint files, Events events, CancellationToken stop)
    {
        var config = ConfigLoader.Load(options.ModelDirectory);
        if (!IsMade(options, config)) return options.ModelDirectory;
        var folder = PathOf(options, files);
        if (IsThere(folder))
        {
            events.Note($"the base is read from its 4-bit folder '{folder}', which an earlier run made");
            return folder;
        }
        events.Note($"the base is not quantized on disk: its 4-bit folder is made once, in '{folder}'");
        while (!WaitForOther(folder, events, stop))
        {
            try
            {
                Make(options, config, folder, events, stop);
            }
            catch (CannotWriteException) when (RunLock.IsHeld(ModelFolderWriter.WorkFolder(folder)) || IsThere(folder))
            {
                // Another run was faster by a moment.
            }
        }
        return folder;
    }

    private static void Make(TrainingOptions options, ModelConfig config, string folder, Events events, CancellationToken stop)
    {
        RequireSpace(new RunMemory(RunAdapter.Of(options, config), options).BaseBytes, folder);
        MakeFolder(Path.GetDirectoryName(folder)!);
        ModelQuantizer.Quantize(options.ModelDirectory, folder, new QuantizeOptions
        {
            DoubleQuantize = options.DoubleQuant,
            MaxShardBytes = ShardBytes,
            Threads = options.Threads ?? MachineLimits.Processors,
            Progress = (done, total) => events.Emit(new PhaseProgressed("quantizing to disk", done, total)),
        }, stop);
    }

    // Several first runs at once want the same folder: one makes it, the others wait for it.
    private static bool WaitForOther(string folder, Events events, CancellationToken stop)
    {
        var partial = ModelFolderWriter.WorkFolder(folder);
        for (var told = false; Directory.Exists(partial) && RunLock.IsHeld(partial); told = true)
        {
            if (!told) events.Note("another run is making that folder; waiting for it");
            if (stop.WaitHandle.WaitOne(TimeSpan.FromSeconds(0.5))) stop.ThrowIfCancellationRequested();
        }
        return IsThere(folder);
    }

    private static bool IsThere(string folder) => File.Exists(Path.Combine(folder, "config.json"));

    private static bool IsMade(TrainingOptions options, ModelConfig config) => config.StoredQuantization is null && options.Quantize == QuantizeKind.Nf4;

    /// <summary>Whether a run would first make the folder: none of this model and kind is in the cache.</summary>
    public static bool MayBeMissing(TrainingOptions options, ModelConfig config)
    {
        if (!IsMade(options, config)) return false;
        var made = Path.Combine(UserCache.Folder, "nf4");
        return !Directory.Exists(made) || !Directory.EnumerateDirectories(made, Prefix(options) + "*").Any(IsThere);
    }

    private static string Prefix(TrainingOptions options)
    {
        var name = string.Concat(Path.GetFileName(Path.TrimEndingDirectorySeparator(options.Model))
            .Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' ? letter : '-'));
        return $"{name}-{(options.DoubleQuant ? "double" : "plain")}-";
    }

    private static string PathOf(TrainingOptions options, Fingerprint files) =>
        Path.Combine(UserCache.Folder, "nf4", Prefix(options) + Fingerprint.Combined(files.Base)[..16]);

    private static void MakeFolder(string path)
    {
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CannotWriteException($"cannot make the folder '{path}' for 4-bit bases to stream from: {fault.Message.TrimEnd('.')}; set TRAINER_CACHE "
                + "to a folder that can be written", fault);
        }
    }

    // The writer asks as well, but its sentence speaks of an output folder that the user did not name. What an earlier attempt left is space already taken.
    private static void RequireSpace(long bytes, string folder)
    {
        var partial = ModelFolderWriter.WorkFolder(folder);
        var there = Directory.Exists(partial) ? Directory.EnumerateFiles(partial, "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length) : 0;
        var needed = bytes + Math.Min(bytes, ShardBytes) - there;
        if (DiskSpace.Free(folder) is { } free && free < needed)
            throw new CannotWriteException($"cannot make the 4-bit folder '{folder}' to stream from: it needs {Size.Of(needed)}, {Size.Of(free)} are free on "
                + "that disk; free some space, or set TRAINER_CACHE to a folder on another disk");
    }
}
