using System.Text.Json;

namespace Trainer.Data.Rows;

/// <summary>A row's columns by our names: mapped, checked for strangers, its kind decided.</summary>
internal sealed class RowFields
{
    /// <summary>Names of a column that holds a conversation.</summary>
    public static readonly string[] Chats = ["messages", "conversations", "conversation"];

    /// <summary>All columns that mean something in some row.</summary>
    public static readonly string[] Known =
    [
        "text", "prompt", "completion", .. Chats, "tools", "functions", "chat_template_kwargs", "system", "instruction", "input", "output",
        "history",
        "input_ids", "labels", "attention_mask", "completion_mask", "assistant_masks", "weight",
        .. PreferenceFields.Known,
    ];

    private static readonly string[] Optional = ["tools", "functions", "chat_template_kwargs", "system", "input", "history", "labels", "attention_mask",
        "completion_mask", "assistant_masks", "weight"];

    private static readonly string[] BesideChats = ["tools", "functions", "system", "chat_template_kwargs", "weight"];

    private static readonly char[] Separators = [',', '+']; // on a command line the comma already parts one column from the next

    // Book-keeping that says nothing a model could learn from; left out and counted. Anything else unknown may hold content, so it is refused.
    private static readonly HashSet<string> BookKeeping = new(StringComparer.OrdinalIgnoreCase)
    {
        "id", "uid", "uuid", "idx", "index", "row_id", "source", "dataset", "subset", "split", "category", "subcategory", "topic", "tags", "task",
        "metadata", "meta", "url", "timestamp", "created_at", "date", "lang", "language", "license", "model", "token_count", "length", "score", "name", "title",
        "conversation_id", "dialog_id", "dialogue_id", "parallel_tool_calls",
    };

    private static readonly JsonElement EmptyText = JsonSerializer.SerializeToElement("");

    private readonly Dictionary<string, JsonElement> _fields = new(StringComparer.Ordinal);

    private RowFields(RowKind kind) => Kind = kind;

    public RowKind Kind { get; private init; }

    /// <summary>Columns left out.</summary>
    public IReadOnlyList<string> Ignored { get; private init; } = [];

    /// <summary>The column's value, or null where it is absent or JSON null (tables write null for "not there").</summary>
    public JsonElement? this[string name] => _fields.TryGetValue(name, out var value) ? value : null;

    /// <summary>The conversation and its column's name, or null.</summary>
    public (JsonElement Messages, string Column)? Conversation()
    {
        foreach (var name in Chats)
            if (this[name] is { } list) return (RowValue.Array(list, name), name);
        return null;
    }

    public static RowFields From(JsonElement row, IReadOnlyDictionary<string, string>? columns, bool textual = false,
        RowPurpose purpose = RowPurpose.Supervised)
    {
        if (row.ValueKind != JsonValueKind.Object)
            throw BadRowException.Malformed($"the row is {Name(row)}; a row must be an object such as {{\"text\": \"...\"}}");
        var fields = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        var (strangers, nulls, ignored) = (new List<string>(), new List<string>(), new List<string>());
        var leaveOut = columns is not null && columns.TryGetValue("ignore", out var list) ? list.Split(Separators, StringSplitOptions.TrimEntries) : [];
        foreach (var property in row.EnumerateObject())
        {
            // What is named to be left out is left out whatever it would mean; * stands for what means nothing.
            if (leaveOut.Contains(property.Name))
            {
                if (property.Value.ValueKind != JsonValueKind.Null) ignored.Add(property.Name);
                continue;
            }
            var ours = Ours(property.Name, columns);
            if (property.Value.ValueKind == JsonValueKind.Null)
            {
                if (ours is not null && !Optional.Contains(ours)) nulls.Add(ours);
                continue;
            }
            // A table of strings has no other way to say "not there".
            if (textual && ours is not null && Array.IndexOf(Optional, ours) >= 0 && property.Value.ValueEquals("")) continue;
            if (ours is not null) fields.Add(ours, property.Value);
            else if (!ColumnAdvice.IsMedia(property.Name) || !IsEmpty(property.Value)) strangers.Add(property.Name);
        }
        // A table's null for an instruction that is empty: the input is the question.
        if (nulls.Contains("instruction") && fields.ContainsKey("input") && fields.ContainsKey("output")) fields.Add("instruction", EmptyText);
        var (kind, allowed) = Decide(row, fields, strangers, nulls, columns, leaveOut, purpose);
        var unknown = new List<string>();
        foreach (var name in fields.Keys.Where(name => !allowed.Contains(name)).Concat(strangers))
        {
            if (IsBookKeeping(name) || leaveOut.Contains("*")) ignored.Add(name.Length == 0 ? "a column without a name" : name);
            else unknown.Add(name);
        }
        if (unknown.Count > 0 && kind != RowKind.Prompt) throw ColumnAdvice.Unknown(unknown, kind, allowed, leaveOut);
        var result = new RowFields(kind) { Ignored = ignored };
        foreach (var name in allowed)
            if (fields.TryGetValue(name, out var value)) result._fields.Add(name, value);
        return result;
    }

    private static bool IsEmpty(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0 || value.ValueKind == JsonValueKind.String && value.ValueEquals("");

    /// <summary>Names of book-keeping, and the index that pandas writes along: a column without a name, "Unnamed: 0", "__index_level_0__", "level_0".</summary>
    public static bool IsBookKeeping(string name) =>
        BookKeeping.Contains(name) || name.Length == 0 || name.StartsWith("Unnamed: ", StringComparison.Ordinal)
        || name.StartsWith("__index_level_", StringComparison.Ordinal)
        || name.StartsWith("level_", StringComparison.Ordinal) && name[6..].All(char.IsAsciiDigit);

    /// <summary>What a value is, for messages.</summary>
    public static string Name(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => "an array",
        JsonValueKind.Object => "an object",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };

    private static string? Ours(string name, IReadOnlyDictionary<string, string>? columns)
    {
        if (columns is not null)
        {
            foreach (var (ours, theirs) in columns)
                if (theirs == name && ours != "ignore")
                    return Known.Contains(ours)
                        ? ours
                        : throw new DataException($"column mapping names '{ours}', which is no column of ours{ColumnAdvice.DidYouMean(ours, Known)}; use one "
                            + $"of {string.Join(", ", Known)}, ignore");
            if (columns.ContainsKey(name)) return null; // our name is taken by another column of theirs
        }
        return Known.Contains(name) ? name : null;
    }

    private static (RowKind Kind, string[] Allowed) Decide(JsonElement row, Dictionary<string, JsonElement> fields, List<string> strangers,
        List<string> nulls, IReadOnlyDictionary<string, string>? columns, string[] leaveOut, RowPurpose purpose)
    {
        if (PreferenceFields.Decide(fields, strangers, purpose) is { } preference) return preference;
        var found = new List<(RowKind Kind, string[] Allowed, string[] By)>();
        void Try(RowKind kind, string[] by, params string[] beside)
        {
            if (Array.TrueForAll(by, fields.ContainsKey)) found.Add((kind, [.. by, .. beside], by));
        }
        foreach (var name in Chats) Try(RowKind.Chat, [name], BesideChats);
        Try(RowKind.Tokenized, ["input_ids"], "labels", "attention_mask", "completion_mask", "assistant_masks", "weight");
        Try(RowKind.Completion, ["prompt", "completion"], BesideChats);
        Try(RowKind.Instruction, ["instruction", "output"], "input", "system", "history", "weight");
        Try(RowKind.Text, ["text"], "weight");
        if (found.Count == 1) return (found[0].Kind, found[0].Allowed);
        string Theirs(string ours) => columns?.GetValueOrDefault(ours) ?? ours;
        if (found.Count > 1)
        {
            var kept = found[0].Allowed.Concat(found.Skip(1).SelectMany(each => each.By)).ToList();
            throw ColumnAdvice.Several([.. found.Select(each => Array.ConvertAll(each.By, Theirs))],
                fields.Keys.Where(name => !kept.Contains(name)).Select(Theirs).Concat(strangers).Where(name => !IsBookKeeping(name)), leaveOut);
        }
        var all = fields.Keys.Concat(strangers).ToList();
        if (all.Count == 0) throw BadRowException.Malformed("the row has no columns, or none that is neither null nor left out");
        throw ColumnAdvice.NoKind(all, nulls, columns, Known, name => row.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String);
    }
}
