using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Runs;
using Trainer.Training.Records;

namespace Trainer.Training.State;

/// <summary>What a run was computed from: the SHA-256 of each file of base, tokenizer and data, in hexadecimal.</summary>
/// <param name="Base">config.json and weight files, by name.</param>
/// <param name="Tokenizer">Tokenizer files, by name.</param>
/// <param name="Template">Chat template files, by name; a file the user named in place of the model's counts here.</param>
/// <param name="Data">Data files with their roles, in the order of reading.</param>
/// <param name="Adapter">Files of the adapter the run continues from, by name; empty for a fresh one.</param>
internal sealed record Fingerprint(
    IReadOnlyDictionary<string, string> Base,
    IReadOnlyDictionary<string, string> Tokenizer,
    IReadOnlyDictionary<string, string> Template,
    [property: JsonConverter(typeof(RunDataFilesConverter))] IReadOnlyList<RunDataFile> Data,
    IReadOnlyDictionary<string, string> Adapter)
{
    private static readonly string[] TokenizerNames =
        ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "generation_config.json"];

    /// <summary>Reads and hashes every file.</summary>
    /// <param name="options">The run.</param>
    /// <param name="dataFiles">The data files, as the data set read them.</param>
    /// <param name="events">Hears of progress: a base of many gigabytes takes a while.</param>
    /// <param name="stop">Ends it early.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Fingerprint Of(TrainingOptions options, IReadOnlyList<RunDataFile> dataFiles, Events events, CancellationToken stop = default)
    {
        var model = options.ModelDirectory;
        var weights = Directory.GetFiles(model).Where(IsBase).Order(StringComparer.Ordinal).ToList();
        var text = options.FindText();
        var template = options.Data.ChatTemplateFile is { } file ? [file] : TemplateFiles(text.Template);
        List<string> adapter = options.AdapterDirectory is { } directory
            ? [.. Directory.GetFiles(directory, "adapter_*").Order(StringComparer.Ordinal)]
            : [];
        return new Fingerprint(
            Hash(weights, model, events, stop),
            Hash(TokenizerFiles(text.Tokenizer), text.Tokenizer, null, stop),
            Hash(template, options.Data.ChatTemplateFile is { } named ? Path.GetDirectoryName(named)! : text.Template, null, stop),
            dataFiles,
            Hash(adapter, options.AdapterDirectory ?? "", null, stop));
    }

    /// <summary>The chat template files of a model folder that are there: the default one, and those in a folder of their own for conversations with tools and
    /// the like.</summary>
    public static List<string> TemplateFiles(string modelDirectory)
    {
        if (!Directory.Exists(modelDirectory)) return [];
        var more = Path.Combine(modelDirectory, ModelFolderFiles.MoreTemplatesFolder);
        var others = Directory.Exists(more) ? Directory.GetFiles(more, "*.jinja") : [];
        return [.. Directory.GetFiles(modelDirectory, "chat_template.*").Order(StringComparer.Ordinal), .. others.Order(StringComparer.Ordinal)];
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

    /// <summary>One hash over the data: roles and contents in the order of reading, wherever the files lie.</summary>
    public static string Combined(IReadOnlyList<RunDataFile> files) =>
        Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(string.Concat(files.Select(file => $"{file.Role} {file.Sha256}\n")))));

    // The names a model is loaded from; other tensors may lie in the folder and do not belong to it.
    private static bool IsBase(string path) =>
        Path.GetFileName(path) is "config.json" or "model.safetensors.index.json"
        || (Path.GetFileName(path).StartsWith("model", StringComparison.Ordinal) && path.EndsWith(".safetensors", StringComparison.Ordinal));

    private static SortedDictionary<string, string> Hash(IReadOnlyList<string> files, string folder, Events? events, CancellationToken stop)
    {
        var hashes = new SortedDictionary<string, string>(StringComparer.Ordinal);
        long total = files.Sum(file => new FileInfo(file).Length), done = 0;
        foreach (var file in files)
        {
            hashes[Path.GetRelativePath(folder.Length == 0 ? "." : folder, file)] = FileDigest.Sha256(file, read =>
            {
                done += read;
                events?.Emit(new PhaseProgressed("hashing the base", Math.Min(done, total), total));
            }, stop);
        }
        return hashes;
    }
}
