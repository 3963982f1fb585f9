using System.Text.Json;
using Trainer.Data.Rows;

namespace Trainer.Data.Sources;

/// <summary>LLaMA-Factory's <c>dataset_info.json</c>: data sets by name, with their file and what its columns mean. Hugging Face's file of that name describes
/// one data set.</summary>
internal sealed class DatasetInfo
{
    public const string FileName = "dataset_info.json";

    private static readonly string[] Places = ["file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"];

    private static readonly (string Theirs, string Ours)[] Answers = [("chosen", "chosen"), ("rejected", "rejected"), ("kto_tag", "label")];

    // Their name for a column, and ours.
    private static readonly (string Theirs, string Ours)[] Alpaca = [("prompt", "instruction"), ("query", "input"), ("response", "output"),
        ("history", "history"), ("system", "system"), .. Answers];

    private static readonly (string Theirs, string Ours)[] ShareGpt = [("messages", "conversations"), ("system", "system"), ("tools", "tools"), .. Answers];

    private static readonly string[] Media = ["images", "videos", "audios"];

    private static readonly Dictionary<string, string[]> Tags = new(StringComparer.Ordinal)
    {
        ["role_tag"] = ["from", "role"],
        ["content_tag"] = ["value", "content"],
        ["user_tag"] = ["human", "user"],
        ["assistant_tag"] = ["gpt", "assistant", "chatgpt", "model"],
        ["observation_tag"] = ["observation", "tool", "function_response", "tool_response"],
        ["function_tag"] = ["function_call", "tool_call"],
        ["system_tag"] = ["system"],
    };

    private readonly string _path;
    private readonly Dictionary<string, JsonElement> _entries;

    private DatasetInfo(string path, Dictionary<string, JsonElement> entries) => (_path, _entries) = (path, entries);

    /// <summary>The names of its data sets.</summary>
    public IReadOnlyCollection<string> Names => _entries.Keys;

    /// <summary>Reads the file, or answers null where it is not LLaMA-Factory's.</summary>
    public static DatasetInfo? Read(string path)
    {
        try
        {
            if (!File.Exists(path)) return null;
            using var file = File.OpenRead(path);
            if (file.Length > 16 << 20) return null;
            using var document = JsonDocument.Parse(file,
                new JsonDocumentOptions { MaxDepth = 64, CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            if (document.RootElement.ValueKind != JsonValueKind.Object) return null;
            var entries = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
            foreach (var entry in document.RootElement.EnumerateObject())
                if (entry.Value.ValueKind == JsonValueKind.Object && Places.Any(place => entry.Value.TryGetProperty(place, out _)))
                    entries[entry.Name] = entry.Value.Clone();
            return entries.Count > 0 ? new DatasetInfo(path, entries) : null;
        }
        catch (Exception fault) when (fault is JsonException or IOException or UnauthorizedAccessException)
        {
            return null; // another program's description: it names no data that this folder must have
        }
    }

    /// <summary>The file or folder of a data set, with its columns and its number of rows where that is limited.</summary>
    /// <exception cref="DataException">There is no such name, or it lies elsewhere or needs what is not read.</exception>
    public (string Path, IReadOnlyDictionary<string, string>? Columns, long? Most) Find(string name)
    {
        if (!_entries.TryGetValue(name, out var entry))
            throw new DataException($"no data set '{name}' ({_path}): it names {string.Join(", ", _entries.Keys.Take(20).Select(each => $"'{each}'"))}"
                + $"{(_entries.Count > 20 ? ", ..." : "")}; use one of them");
        if (Text(entry, "file_name") is not { Length: > 0 } file)
            throw new DataException($"data set '{name}' is not in this folder ({_path}): it lies at "
                + (Text(entry, "hf_hub_url") is { Length: > 0 } hub ? $"'{hub}'; type: trainer download --dataset {hub}, and name {hub} with --data"
                : $"'{Places.Select(place => Text(entry, place)).First(text => text is not null)}'; download it and name it with --data"));
        var path = Path.Combine(Path.GetDirectoryName(_path) ?? "", file);
        if (!File.Exists(path) && !Directory.Exists(path))
            throw new DataException($"the file of data set '{name}' is not there ({_path}): '{path}'; put it there, or name the file with --data");
        var most = entry.TryGetProperty("num_samples", out var samples) && samples.ValueKind == JsonValueKind.Number && samples.TryGetInt64(out var count)
            && count > 0 ? count : (long?)null;
        return (path, Columns(name, entry), most);
    }

    /// <summary>The columns of a file that an entry names, or null where none does or they carry our names.</summary>
    public IReadOnlyDictionary<string, string>? ColumnsOf(string path)
    {
        foreach (var (name, entry) in _entries)
            if (Text(entry, "file_name") is { } file && Path.GetFullPath(Path.Combine(Path.GetDirectoryName(_path) ?? "", file)) == Path.GetFullPath(path))
                return Columns(name, entry);
        return null;
    }

    private Dictionary<string, string>? Columns(string name, JsonElement entry)
    {
        var chat = Text(entry, "formatting") is "sharegpt" or "openai";
        if (entry.TryGetProperty("tags", out var tags) && tags.ValueKind == JsonValueKind.Object)
            foreach (var tag in tags.EnumerateObject())
                if (Tags.TryGetValue(tag.Name, out var known) && tag.Value.ValueKind == JsonValueKind.String && !known.Contains(tag.Value.GetString()))
                    throw new DataException($"data set '{name}' calls its {tag.Name.Replace('_', ' ')} '{tag.Value.GetString()}' ({_path}): "
                        + $"{string.Join(", ", known)} are read; rename it in the rows and in the file");
        if (!entry.TryGetProperty("columns", out var columns) || columns.ValueKind != JsonValueKind.Object) return null;
        // A prompt that nothing answers is plain text.
        var isText = !chat && !Alpaca.Skip(1).Any(pair => Text(columns, pair.Theirs) is { Length: > 0 });
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        var used = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (theirs, ours) in chat ? ShareGpt : Alpaca)
        {
            if (Text(columns, theirs) is not { Length: > 0 } column) continue;
            used.Add(column);
            if (column != (isText ? "text" : ours)) map[isText ? "text" : ours] = column;
        }
        // Columns that the entry does not name are not read, whatever they are called; pictures that it names are no text.
        if (used.Count > 0 && !Array.Exists(Media, each => columns.TryGetProperty(each, out _)))
            map["ignore"] = string.Join('+', RowFields.Known.Where(ours => !used.Contains(ours)).Append("*"));
        return map.Count > 0 ? map : null;
    }

    private static string? Text(JsonElement owner, string name)
        => owner.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
