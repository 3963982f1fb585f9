using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Runs;

/// <summary>
/// The folders RUN/checkpoint-N: written whole or not at all, each with a manifest.json that holds the length and SHA-256 of every file,
/// so that a flipped bit, a missing file or a manifest of another checkpoint is found before anything is resumed.
/// </summary>
public static class CheckpointFolder
{
    /// <summary>Name of the manifest.</summary>
    public const string ManifestFile = "manifest.json";

    /// <summary>The manifest layout this version writes and reads.</summary>
    public const int Schema = 1;

    private const string Prefix = "checkpoint-", Format = "trainer-checkpoint";

    // Any of them says that the folder is ours, also where the others are lost.
    private static readonly string[] OwnFiles = [ManifestFile, "trainer_state.safetensors", "run_state.json"];

    /// <summary>The folder of a step.</summary>
    public static string PathOf(string runFolder, long step) => Path.Combine(runFolder, Prefix + step.ToString(CultureInfo.InvariantCulture));

    /// <summary>Writes the checkpoint of a step: fill, flush, manifest, verification, rename. An existing one of that step is replaced.</summary>
    /// <param name="runFolder">The run folder; made where absent.</param>
    /// <param name="step">Optimizer steps made.</param>
    /// <param name="runId">Any text that is the same for every checkpoint of a run and differs between runs, e.g. the run's hash.</param>
    /// <param name="fill">Writes and closes the checkpoint's files in the folder it is given.</param>
    /// <exception cref="CannotWriteException">It could not be written; earlier checkpoints are untouched.</exception>
    public static Checkpoint Write(string runFolder, long step, string runId, Action<string> fill) => Write(runFolder, step, runId, fill, null);

    // "written" stands between writing and reading again: where a test plays the bad disk.
    internal static Checkpoint Write(string runFolder, long step, string runId, Action<string> fill, Action<string>? written)
    {
        ArgumentNullException.ThrowIfNull(fill);
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        var path = PathOf(runFolder, step);
        if (Directory.Exists(path) && IsForeign(path))
        {
            throw new CannotWriteException($"cannot write '{path}': a folder of that name is there that this program did not write; move it away, or choose "
                + "another --output-dir");
        }
        AtomicFolder.Write(path, temporary =>
        {
            fill(temporary);
            AtomicFolder.Flush(temporary);
            File.WriteAllText(Path.Combine(temporary, ManifestFile), Manifest(temporary, step, runId) + "\n");
            written?.Invoke(temporary);
        }, temporary => Verify(temporary, step));
        return new Checkpoint(path, step, runId, [.. FileNames(path)]);
    }

    /// <summary>Every checkpoint folder that this program wrote in a run by step, oldest first; not verified.</summary>
    public static IReadOnlyList<(long Step, string Path)> List(string runFolder) => [.. Named(runFolder).Where(static one => !IsForeign(one.Path))];

    /// <summary>Folders of that name that another program wrote, or that hold nothing of ours: they are never renamed, rotated or replaced.</summary>
    public static IReadOnlyList<(long Step, string Path)> Foreign(string runFolder) => [.. Named(runFolder).Where(static one => IsForeign(one.Path))];

    /// <summary>Whether a path is called checkpoint-N.</summary>
    public static bool IsNamed(string path) => StepOf(path) is not null;

    private static bool IsForeign(string path) => !OwnFiles.Any(name => File.Exists(Path.Combine(path, name)));

    private static List<(long Step, string Path)> Named(string runFolder)
    {
        var found = new List<(long Step, string Path)>();
        if (Directory.Exists(runFolder))
        {
            foreach (var path in Directory.EnumerateDirectories(runFolder, Prefix + "*"))
            {
                if (StepOf(path) is long step) found.Add((step, path));
            }
        }
        found.Sort();
        return found;
    }

    /// <summary>Checks a checkpoint folder against its manifest, reading every byte.</summary>
    /// <exception cref="BadFileException">It is damaged, incomplete, of another checkpoint or of another version; the sentence names which.</exception>
    public static Checkpoint Verify(string path)
    {
        return Verify(path, StepOf(path));
    }

    private static long? StepOf(string path)
    {
        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        return name.StartsWith(Prefix, StringComparison.Ordinal)
            && long.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var step)
            && name == Prefix + step.ToString(CultureInfo.InvariantCulture) ? step : null;
    }

    /// <summary>The newest checkpoint of a run that is whole, with the damaged ones that are newer.</summary>
    public static CheckpointChoice NewestWhole(string runFolder)
    {
        var damaged = new List<DamagedCheckpoint>();
        foreach ((_, var path) in List(runFolder).Reverse())
        {
            try
            {
                return new CheckpointChoice(Verify(path), damaged);
            }
            catch (BadFileException fault)
            {
                damaged.Add(new DamagedCheckpoint(path, fault.Message));
            }
        }
        return new CheckpointChoice(null, damaged);
    }

    /// <summary>Deletes the oldest checkpoints until a limit holds; the newest and the best stay whatever the limit. Returns what was deleted.</summary>
    /// <param name="runFolder">The run folder.</param>
    /// <param name="limit">How many may stay, best and newest among them; null or below 1 keeps all.</param>
    /// <param name="bestStep">Step of the best checkpoint so far, or null.</param>
    public static IReadOnlyList<string> Rotate(string runFolder, int? limit, long? bestStep)
    {
        var deleted = new List<string>();
        var all = List(runFolder);
        if (limit is null or < 1 || all.Count <= limit) return deleted;
        var surplus = all.Count - limit.Value;
        foreach ((var step, var path) in all.Take(all.Count - 1).Where(one => one.Step != bestStep).Take(surplus))
        {
            AtomicFolder.Delete(path);
            deleted.Add(path);
        }
        return deleted;
    }

    private static IEnumerable<string> FileNames(string folder) => Directory.EnumerateFiles(folder).Select(static path => Path.GetFileName(path))
        .Where(static name => name != ManifestFile).Order(StringComparer.Ordinal);

    private static string Manifest(string folder, long step, string runId)
    {
        var files = new JsonObject();
        foreach (var name in FileNames(folder))
        {
            var path = Path.Combine(folder, name);
            files[name] = new JsonObject { ["bytes"] = new FileInfo(path).Length, ["sha256"] = FileDigest.Sha256(path) };
        }
        return PythonJson.Serialize(new JsonObject { ["format"] = Format, ["schema"] = Schema, ["step"] = step, ["run"] = runId, ["files"] = files });
    }

    private static Checkpoint Verify(string path, long? step)
    {
        if (!Directory.Exists(path))
            throw new BadFileException($"checkpoint '{path}': there is no such folder; check the path given with --resume");
        RegularFile.RequireAll(path);
        var manifestPath = Path.Combine(path, ManifestFile);
        if (!File.Exists(manifestPath))
        {
            var why = File.Exists(Path.Combine(path, "optimizer.pt")) || File.Exists(Path.Combine(path, "training_args.bin"))
                ? "it was written by transformers, whose optimizer state is a pickle; continue its adapter with --adapter instead"
                : $"it has no {ManifestFile}; it is incomplete or not a checkpoint of this program";
            throw new BadFileException($"checkpoint '{path}' cannot be resumed: {why}");
        }
        try
        {
            using var document = JsonDocument.Parse(SmallFile.Bytes(manifestPath), new JsonDocumentOptions { AllowDuplicateProperties = false });
            return Check(path, step, document.RootElement);
        }
        catch (Exception fault) when (fault is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or IOException
            or UnauthorizedAccessException)
        {
            throw new BadFileException($"checkpoint '{path}': its {ManifestFile} cannot be read ({fault.Message.Split('\n')[0].TrimEnd('.')}); use an earlier "
                + "checkpoint", fault);
        }
    }

    private static Checkpoint Check(string path, long? step, JsonElement manifest)
    {
        if (!manifest.TryGetProperty("format", out var format) || format.GetString() != Format)
            throw new BadFileException($"checkpoint '{path}': its {ManifestFile} is of another program; use a checkpoint that this one wrote");
        var schema = manifest.GetProperty("schema").GetInt32();
        if (schema != Schema)
        {
            var which = schema < Schema ? "an older" : "a newer";
            throw new BadFileException($"checkpoint '{path}' was written by {which} version (layout {schema}, this version reads {Schema}); resume it with "
                + "that version, or continue its adapter with --adapter");
        }
        var written = manifest.GetProperty("step").GetInt64();
        if (step is not null && written != step)
            throw new BadFileException($"checkpoint '{path}': its {ManifestFile} is that of step {written}; use an earlier checkpoint");
        var names = new List<string>();
        foreach (var file in manifest.GetProperty("files").EnumerateObject())
        {
            CheckFile(path, file);
            names.Add(file.Name);
        }
        return new Checkpoint(path, written, manifest.GetProperty("run").GetString() ?? "", names);
    }

    private static void CheckFile(string folder, JsonProperty file)
    {
        var path = FolderPath.Inside(folder, file.Name, $"file named by {ManifestFile}");
        if (!File.Exists(path))
            throw new BadFileException($"checkpoint '{folder}': file '{file.Name}' is missing; use an earlier checkpoint");
        long bytes = file.Value.GetProperty("bytes").GetInt64(), found = new FileInfo(path).Length;
        if (found != bytes)
            throw new BadFileException($"checkpoint '{folder}': file '{file.Name}' has {found} bytes, {ManifestFile} says {bytes}; use an earlier checkpoint");
        if (FileDigest.Sha256(path) != file.Value.GetProperty("sha256").GetString())
        {
            throw new BadFileException($"checkpoint '{folder}': the bytes of file '{file.Name}' are not those that were written (sha256 differs); use an "
                + "earlier checkpoint");
        }
    }
}
