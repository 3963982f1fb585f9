using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Folders;

/// <summary>What a model folder was when something was made of it: a broken-off work is continued, and a kept result used, for the same one alone.</summary>
public static class SourceIdentity
{
    /// <summary>Weights and config.json of a model folder: of each file the length, the time and samples of every tensor (<see cref="FileSample"/>); the
    /// configuration whole.</summary>
    /// <exception cref="BadFileException">A file cannot be read.</exception>
    public static string Of(ShardedModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var config = Path.Combine(model.Folder, "config.json");
        return string.Join(' ', model.Files.Select(Of).Prepend(File.Exists(config) ? FileDigest.Sha256(config) : ""));
    }

    /// <summary>One file of weights.</summary>
    /// <exception cref="BadFileException">It cannot be read.</exception>
    public static string Of(SafetensorsFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var head = file.Entries.Count == 0 ? file.Length : file.Entries.Min(static entry => entry.Begin);
        return FileSample.Of(file.Path, head, [.. file.Entries.Select(static entry => (entry.Begin, entry.ByteCount))]);
    }
}
