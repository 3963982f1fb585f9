using System.Security.Cryptography;

namespace Trainer.Training;

/// <summary>What a run was computed from: the SHA-256 of each file of base, tokenizer and data, in hexadecimal.</summary>
/// <param name="Base">config.json and weight files, by name.</param>
/// <param name="Tokenizer">Tokenizer files, by name.</param>
/// <param name="Template">Chat template files, by name; a file the user named in place of the model's counts here.</param>
/// <param name="Data">Data files, by path as the user gave it.</param>
/// <param name="Adapter">Files of the adapter the run continues from, by name; empty for a fresh one.</param>
internal sealed record Fingerprint(
    IReadOnlyDictionary<string, string> Base,
    IReadOnlyDictionary<string, string> Tokenizer,
    IReadOnlyDictionary<string, string> Template,
    IReadOnlyDictionary<string, string> Data,
    IReadOnlyDictionary<string, string> Adapter)
{
    private static readonly string[] TokenizerNames =
        ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "generation_config.json"];

    /// <summary>Reads and hashes every file.</summary>
    /// <param name="options">The run.</param>
    /// <param name="dataFiles">The data files, as the data set found them.</param>
    /// <param name="events">Hears of progress: a base of many gigabytes takes a while.</param>
    public static Fingerprint Of(TrainingOptions options, IReadOnlyList<string> dataFiles, Events events)
    {
        var model = options.ModelDirectory;
        var weights = Directory.GetFiles(model).Where(IsBase).Order(StringComparer.Ordinal).ToList();
        List<string> template = options.Data.ChatTemplateFile is { } file ? [file] : [.. Directory.GetFiles(model, "chat_template.*").Order(StringComparer.Ordinal)];
        List<string> adapter = options.AdapterDirectory is { } directory
            ? [.. Directory.GetFiles(directory, "adapter_*").Order(StringComparer.Ordinal)]
            : [];
        return new Fingerprint(
            Hash(weights, Path.GetFileName, events),
            Hash(TokenizerFiles(model), Path.GetFileName, null),
            Hash(template, Path.GetFileName, null),
            Hash(dataFiles, path => path, null),
            Hash(adapter, Path.GetFileName, null));
    }

    /// <summary>The tokenizer's files of a model folder that are there.</summary>
    public static List<string> TokenizerFiles(string modelDirectory) =>
        [.. TokenizerNames.Select(name => Path.Combine(modelDirectory, name)).Where(File.Exists)];

    /// <summary>One hash over a whole group, for run.json and people.</summary>
    public static string Combined(IReadOnlyDictionary<string, string> hashes)
    {
        var text = string.Concat(hashes.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key} {pair.Value}\n"));
        return Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>The SHA-256 of one file, in hexadecimal.</summary>
    public static string OfFile(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20, FileOptions.SequentialScan);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    // The names a model is loaded from; other tensors may lie in the folder and do not belong to it.
    private static bool IsBase(string path) =>
        Path.GetFileName(path) is "config.json" or "model.safetensors.index.json"
        || (Path.GetFileName(path).StartsWith("model", StringComparison.Ordinal) && path.EndsWith(".safetensors", StringComparison.Ordinal));

    private static SortedDictionary<string, string> Hash(IReadOnlyList<string> files, Func<string, string> key, Events? events)
    {
        var hashes = new SortedDictionary<string, string>(StringComparer.Ordinal);
        long total = files.Sum(file => new FileInfo(file).Length), done = 0;
        foreach (var file in files)
        {
            hashes[key(file)] = OfFile(file);
            done += new FileInfo(file).Length;
            events?.Emit(new PhaseProgressed("hashing the base", done, total));
        }
        return hashes;
    }
}
