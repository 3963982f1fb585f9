using System.Text.Json;

namespace Trainer.Data.Rows;

/// <summary>A row's columns by our names: mapped, checked for strangers, its kind decided.</summary>
internal sealed class RowFields
{
    private static readonly string[] Known =
    [
        "text", "prompt", "completion", "messages", "conversations", "tools", "functions", "chat_template_kwargs", "system", "instruction", "input", "output",
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
    };

    private readonly Dictionary<string, JsonElement> _fields = new(StringComparer.Ordinal);

    private RowFields(RowKind kind) => Kind = kind;

    public RowKind Kind { get; private init; }

    /// <summary>Columns left out.</summary>
    public IReadOnlyList<string> Ignored { get; private init; } = [];

    /// <summary>The column's value, or null where it is absent or JSON null (tables write null for "not there").</summary>
    public JsonElement? this[string name] => _fields.TryGetValue(name, out var value) ? value : null;

    public static RowFields From(JsonElement row, IReadOnlyDictionary<string, string>? columns, bool textual = false,
        RowPurpose purpose = RowPurpose.Supervised)
    {
        if (row.ValueKind != JsonValueKind.Object)
            throw BadRowException.Malformed($"the row is {Name(row)}; a row must be an object such as {{\"text\": \"...\"}}");
        var fields = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        var strangers = new List<string>();
        foreach (var property in row.EnumerateObject())
        {
            if (property.Value.ValueKind == JsonValueKind.Null) continue;
            var ours = Ours(property.Name, columns);
            // A table of strings has no other way to say "not there".
            if (textual && ours is not null && Array.IndexOf(Optional, ours) >= 0 && property.Value.ValueEquals("")) continue;
            if (ours is null) strangers.Add(property.Name);
            else fields.Add(ours, property.Value);
        }
        var (kind, allowed) = Decide(fields, strangers, columns, purpose);
        var ignored = new List<string>();
        var leaveOut = columns is not null && columns.TryGetValue("ignore", out var list) ? list.Split(Separators, StringSplitOptions.TrimEntries) : [];
        var unknown = new List<string>();
        foreach (var name in fields.Keys.Where(name => !allowed.Contains(name)).Concat(strangers))
            (IsBookKeeping(name) || leaveOut.Contains(name) || leaveOut.Contains("*") ? ignored : unknown).Add(name);
        if (unknown.Count > 0) throw Unknown(unknown, kind, allowed, leaveOut);
        var result = new RowFields(kind) { Ignored = ignored };
        foreach (var name in allowed)
            if (fields.TryGetValue(name, out var value)) result._fields.Add(name, value);
        return result;
    }

    /// <summary>Names of book-keeping, and the index that pandas writes along: a column without a name, "Unnamed: 0", "__index_level_0__", "level_0".</summary>
    private static bool IsBookKeeping(string name) =>
        BookKeeping.Contains(name) || name.Length == 0 || name.StartsWith("Unnamed: ", StringComparison.Ordinal)
        || name.StartsWith("__index_level_", StringComparison.Ordinal)
        || name.StartsWith("level_", StringComparison.Ordinal) && name[6..].All(char.IsAsciiDigit);

    /// <summary>All of them at once, with what leaves them out together with what is left out already.</summary>
    private static BadRowException Unknown(List<string> names, RowKind kind, string[] allowed, string[] leftOut)
    {
        var all = leftOut.Concat(names).ToList();
        var ignore = all.Exists(name => name.IndexOfAny([',', '+', '=', ' ']) >= 0) ? "*" : string.Join('+', all);
        return names.Count == 1
            ? BadRowException.Malformed($"column '{names[0]}' has no meaning in {Describe(kind)}{DidYouMean(names[0], allowed)}",
                $"map it to a column that has, or leave it out: --data FILE,ignore={ignore}")
            : BadRowException.Malformed($"columns {string.Join(", ", names.Take(12).Select(name => $"'{name}'{DidYouMean(name, allowed)}"))}"
                + $"{(names.Count > 12 ? $" and {names.Count - 12} more" : "")} have no meaning in {Describe(kind)}",
                $"map them to columns that have, or leave them out: --data FILE,ignore={ignore}");
    }

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
                        : throw new DataException($"column mapping names '{ours}', which is no column of ours{DidYouMean(ours, Known)}; use one "
                            + $"of {string.Join(", ", Known)}, ignore");
            if (columns.ContainsKey(name)) return null; // our name is taken by another column of theirs
        }
        return Known.Contains(name) ? name : null;
    }

    private static (RowKind Kind, string[] Allowed) Decide(Dictionary<string, JsonElement> fields, List<string> strangers,
        IReadOnlyDictionary<string, string>? columns, RowPurpose purpose)
    {
        if (PreferenceFields.Decide(fields, purpose) is { } preference) return preference;
        var found = new List<(RowKind, string[], string)>();
        if (fields.ContainsKey("messages")) found.Add((RowKind.Chat, ["messages", .. BesideChats], "messages"));
        if (fields.ContainsKey("conversations")) found.Add((RowKind.Chat, ["conversations", .. BesideChats], "conversations"));
        if (fields.ContainsKey("input_ids"))
            found.Add((RowKind.Tokenized, ["input_ids", "labels", "attention_mask", "completion_mask", "assistant_masks", "weight"], "input_ids"));
        if (fields.ContainsKey("prompt") && fields.ContainsKey("completion"))
            found.Add((RowKind.Completion, ["prompt", "completion", .. BesideChats], "prompt and completion"));
        if (fields.ContainsKey("instruction") && fields.ContainsKey("output"))
            found.Add((RowKind.Instruction, ["instruction", "input", "output", "system", "history", "weight"], "instruction and output"));
        if (fields.ContainsKey("text")) found.Add((RowKind.Text, ["text", "weight"], "text"));
        var leaveOut = columns is not null && columns.TryGetValue("ignore", out var list) ? list.Split(Separators, StringSplitOptions.TrimEntries) : [];
        if (found.Count > 1) found.RemoveAll(each => leaveOut.Contains(each.Item2[0]));
        if (found.Count == 1) return (found[0].Item1, found[0].Item2);
        if (found.Count > 1)
            throw BadRowException.Malformed($"the row is of two kinds at once: it has {string.Join(" as well as ", found.Select(each => each.Item3))}",
                "keep one of them, or leave columns out: --data FILE,ignore=NAME");
        var all = fields.Keys.Concat(strangers).ToList();
        if (all.Count == 0) throw BadRowException.Malformed("the row has no columns, or none that is not null");
        var hint = all.Select(name => DidYouMean(name, Known)).FirstOrDefault(text => text.Length > 0) ?? "";
        const string Kinds = "rows have text, prompt and completion, messages, conversations, instruction and output, or input_ids";
        var way = Mapping(all) ?? "instruction=NAME,output=NAME";
        var mapped = columns?.Where(pair => pair.Key != "ignore").ToList() ?? [];
        // Advice that was followed already would send the user in a circle: the mapping names columns that this row lacks.
        throw BadRowException.Malformed($"columns {string.Join(", ", all.Take(8).Select(name => $"'{name}'"))} make no known kind of row{hint}",
            mapped.Count == 0 ? $"{Kinds}; map other names, for instance --data FILE,{way}"
            : mapped.Find(pair => !all.Contains(pair.Key)) is { Key: { } ours } lost
            ? $"{Kinds}; the row has no column '{lost.Value}' to take for '{ours}'"
            : $"{Kinds}; the mapping {string.Join(',', mapped.Select(pair => $"{pair.Key}={pair.Value}"))} makes none of them");
    }

    /// <summary>The mapping that fits common names of others, or null.</summary>
    private static string? Mapping(List<string> columns)
    {
        string? First(params ReadOnlySpan<string> names)
        {
            foreach (var name in names)
                if (columns.Contains(name)) return name;
            return null;
        }
        if (First("conversation", "dialog", "dialogue", "chat") is { } chat) return $"messages={chat}";
        var answer = First("completion", "response", "answer", "output", "target");
        if (answer is null) return First("content", "document") is { } text ? $"text={text}" : null;
        // As turns: a model with a chat template is trained with it, one without gets a prompt in words.
        if (columns.Contains("instruction") && First("input", "context") is { } context) return $"instruction=instruction,input={context},output={answer}";
        return First("prompt", "question", "query", "instruction", "input", "source") is { } prompt ? $"instruction={prompt},output={answer}" : null;
    }

    private static string Describe(RowKind kind) => kind switch
    {
        RowKind.Text => "a text row",
        RowKind.Completion => "a prompt/completion row",
        RowKind.Chat => "a chat row",
        RowKind.Instruction => "an instruction row",
        RowKind.Pair => "a preference pair",
        RowKind.Feedback => "a labelled row",
        _ => "a row of token ids",
    };

    private static string DidYouMean(string name, IEnumerable<string> candidates)
    {
        foreach (var candidate in candidates)
            if (candidate != name && Distance(name, candidate) <= (candidate.Length > 3 ? 2 : 1))
                return $" (did you mean '{candidate}'?)";
        return "";
    }

    private static int Distance(string a, string b)
    {
        if (a.Length > 40) return a.Length;
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var up = row[j];
                row[j] = Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = up;
            }
        }
        return row[^1];
    }
}
