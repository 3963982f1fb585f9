using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints;

/// <summary>
/// The weights of a Hugging Face model folder, one file or many shards, as one set of named tensors, mapped into memory.
/// </summary>
public sealed unsafe class ShardedModel : IDisposable
{
    /// <summary>Name of the single weights file.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>Name of the list of shards.</summary>
    public const string IndexFile = "model.safetensors.index.json";

    /// <summary>Key of an index's metadata: names of tensors of which one shard holds the valid form and others, which are links to another folder's, an older
    /// one.</summary>
    public const string ReplacedKey = "replaced_tensors";

    private const string Embedding = "model.embed_tokens.weight", Head = "lm_head.weight";

    private readonly Dictionary<string, (SafetensorsFile File, SafetensorsEntry Entry)> _tensors;

    private ShardedModel(string folder, List<SafetensorsFile> files, bool isTied, HashSet<(SafetensorsFile File, string Name)> replaced)
    {
        Folder = folder;
        Files = files;
        _tensors = files.SelectMany(static file => file.Entries.Select(entry => (file, entry))).Where(pair => !replaced.Contains((pair.file, pair.entry.Name)))
            .ToDictionary(static pair => pair.entry.Name, static pair => pair, StringComparer.Ordinal);
        // Savers keep one tensor of a shared pair, and some keep it under the head's name.
        if (isTied && !_tensors.ContainsKey(Embedding) && _tensors.Remove(Head, out var pair))
            _tensors[Embedding] = (pair.File, pair.Entry with { Name = Embedding });
        Tensors = _tensors.ToDictionary(static pair => pair.Key, static pair => pair.Value.Entry, StringComparer.Ordinal);
    }

    /// <summary>The model folder.</summary>
    public string Folder { get; }

    /// <summary>The mapped files.</summary>
    public IReadOnlyList<SafetensorsFile> Files { get; }

    /// <summary>Every tensor of the model by name; an entry's offsets count in its own file.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Tensors { get; }

    /// <summary>Bytes of all tensors.</summary>
    public long TotalBytes => Tensors.Values.Sum(static entry => entry.ByteCount);

    /// <summary>Maps model.safetensors, or every shard that model.safetensors.index.json names; what a shard holds beside the index belongs to the model
    /// too.</summary>
    /// <param name="folder">The model folder.</param>
    /// <param name="isTied">Whether head and embedding are one: a pair stored under the head's name alone is then found as the embedding.</param>
    /// <exception cref="BadFileException">Weights missing or in an unsafe format; index and shards disagree; a shard lies outside the folder; a file is
    /// damaged.</exception>
    public static ShardedModel Open(string folder, bool isTied = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder))
            throw new BadFileException($"model folder '{folder}': there is no such folder; check the path");
        string single = Path.Combine(folder, SingleFile), index = Path.Combine(folder, IndexFile);
        var files = new List<SafetensorsFile>();
        var replaced = new HashSet<(SafetensorsFile, string)>();
        try
        {
            if (File.Exists(single))
                files.Add(SafetensorsFile.Open(FolderPath.Inside(folder, SingleFile, "weights file")));
            else if (File.Exists(index)) OpenShards(folder, index, files, replaced);
            else throw NoWeights(folder);
            return new ShardedModel(folder, files, isTied, replaced);
        }
        catch
        {
            files.ForEach(static file => file.Dispose());
            throw;
        }
    }

    /// <summary>The entry of a name.</summary>
    /// <exception cref="BadFileException">The model has no such tensor.</exception>
    public SafetensorsEntry Entry(string name) => Find(name).Entry;

    /// <summary>The file that holds a tensor.</summary>
    public SafetensorsFile FileOf(string name) => Find(name).File;

    /// <summary>First byte of a tensor in the map.</summary>
    public byte* Pointer(string name)
    {
        (var file, var entry) = Find(name);
        return file.Pointer(entry);
    }

    /// <summary>The bytes of a tensor below 2 GiB, little-endian, row-major.</summary>
    public ReadOnlySpan<byte> Bytes(string name)
    {
        (var file, var entry) = Find(name);
        return file.Bytes(entry);
    }

    /// <summary>Unmaps every file.</summary>
    public void Dispose()
    {
        foreach (var file in Files) file.Dispose();
    }

    private (SafetensorsFile File, SafetensorsEntry Entry) Find(string name) => _tensors.TryGetValue(name, out (SafetensorsFile, SafetensorsEntry) found)
        ? found
        : throw new BadFileException($"tensor '{name}' is missing from the weights in '{Folder}'; the model is incomplete or of another family");

    private static void OpenShards(string folder, string index, List<SafetensorsFile> files, HashSet<(SafetensorsFile, string)> replaced)
    {
        (var map, var others) = ReadIndex(index);
        foreach (var shard in map.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList())
        {
            var path = FolderPath.Inside(folder, shard, $"shard named by {IndexFile}");
            if (!File.Exists(path))
            {
                var tensors = map.Values.Count(value => value == shard);
                throw new BadFileException($"shard '{shard}' is missing from '{folder}': {IndexFile} expects {tensors} tensors in it; copy or download it "
                    + "again");
            }
            var file = SafetensorsFile.Open(path);
            files.Add(file);
            foreach (var entry in file.Entries)
            {
                if (others.Contains(entry.Name) && map.GetValueOrDefault(entry.Name) != shard)
                    replaced.Add((file, entry.Name));
                else if (!map.TryAdd(entry.Name, shard) && map[entry.Name] is string home && home != shard)
                {
                    throw new BadFileException($"tensor '{entry.Name}' is in shard '{shard}' of '{folder}', {IndexFile} says '{home}'; index and shards are "
                        + "of different models");
                }
            }
            foreach ((var name, _) in map.Where(pair => pair.Value == shard))
            {
                if (!file.Tensors.ContainsKey(name))
                {
                    throw new BadFileException($"tensor '{name}' is missing from shard '{shard}' of '{folder}', where {IndexFile} says it is; copy or "
                        + "download the shard again");
                }
            }
        }
    }

    // The shards of every tensor, and the tensors that a shard may hold in a form that another one replaces.
    private static (Dictionary<string, string> Map, HashSet<string> Replaced) ReadIndex(string index)
    {
        try
        {
            using var document = PythonJson.Parse(SmallFile.Bytes(index), allowDuplicates: false);
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("weight_map", out var weights)
                || weights.ValueKind != JsonValueKind.Object)
            {
                throw new BadFileException($"index '{index}' has no weight_map; copy or download it again");
            }
            var map = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var pair in weights.EnumerateObject())
            {
                map.Add(pair.Name, pair.Value.ValueKind == JsonValueKind.String ? pair.Value.GetString()!
                    : throw new BadFileException($"index '{index}': the shard of tensor '{pair.Name}' is not a file name; copy or download it again"));
            }
            var replaced = new HashSet<string>(StringComparer.Ordinal);
            if (document.RootElement.TryGetProperty("metadata", out var metadata) && metadata.ValueKind == JsonValueKind.Object
                && metadata.TryGetProperty(ReplacedKey, out var names) && names.ValueKind == JsonValueKind.Array)
            {
                replaced.UnionWith(names.EnumerateArray().Select(static name => name.GetString() ?? ""));
            }
            return map.Count > 0 ? (map, replaced) : throw new BadFileException($"index '{index}' names no tensor; copy or download it again");
        }
        // A string that is not valid Unicode is found when it is read, not when the document is parsed.
        catch (Exception fault) when (fault is JsonException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw new BadFileException($"index '{index}' cannot be read: {fault.Message.TrimEnd('.')}; copy or download it again", fault);
        }
    }

    private static BadFileException NoWeights(string folder)
    {
        string[] names = [.. Directory.EnumerateFiles(folder).Select(static path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        var pickle = names.FirstOrDefault(static name =>
            name.StartsWith("pytorch_model", StringComparison.Ordinal) || name.EndsWith(".bin", StringComparison.Ordinal)
            || name.EndsWith(".pth", StringComparison.Ordinal) || name.EndsWith(".pt", StringComparison.Ordinal));
        var other = names.FirstOrDefault(static name => name.EndsWith(".safetensors", StringComparison.Ordinal));
        var gguf = names.FirstOrDefault(static name => name.EndsWith(".gguf", StringComparison.Ordinal));
        return new BadFileException(
            other is "adapter_model.safetensors" ? $"'{folder}' holds an adapter, not a model: found '{other}' and no {SingleFile}; pass it with --adapter "
            + "and its base with --model"
            : other is not null ? $"no {SingleFile} or {IndexFile} in '{folder}': found '{other}'; rename it or add the index that names it"
            : pickle is not null ? $"'{folder}' has its weights as '{pickle}' alone: a pickle can run code when opened and is never read; "
                + $"convert it once to {SingleFile} (in Python, model.save_pretrained(folder, safe_serialization=True)) or take a revision that has safetensors"
            : gguf is not null ? $"no {SingleFile} or {IndexFile} in '{folder}': found '{gguf}'; pass that file itself as the model, or take the model's "
                + "original folder"
            : $"no {SingleFile} or {IndexFile} in '{folder}': found no weights at all; check the path or download the model again");
    }
}
