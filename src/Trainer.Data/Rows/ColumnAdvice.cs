using System.Text.Json;
using F23.StringSimilarity;

namespace Trainer.Data.Rows;

/// <summary>What is wrong with a row's columns and what to do, spelled with the row's own names.</summary>
internal static class ColumnAdvice
{
    private static readonly OptimalStringAlignment Edits = new();

    // What other programs call the columns a row is made of, the likeliest first.
    private static readonly string[] Chats = ["messages", "conversations", "conversation", "dialog", "dialogue", "chat"];
    private static readonly string[] Prompts = ["prompt", "question", "query", "instruction", "input", "inputs", "problem", "article", "source",
        "user", "human"];
    private static readonly string[] Answers = ["completion", "response", "answer", "output", "outputs", "target", "targets", "solution", "summary",
        "highlights", "assistant", "bot", "generation"];
    private static readonly string[] Systems = ["system_prompt", "system_message", "system_instruction"];
    private static readonly string[] Contexts = ["input", "context", "article", "passage", "document"];
    private static readonly string[] Texts = ["text", "content", "document"];
    private static readonly (string Chosen, string Rejected)[] Pairs = [("chosen", "rejected"), ("chosen_messages", "rejected_messages"),
        ("chosen_response", "rejected_response"), ("chosen_conversations", "rejected_conversations"), ("preferred_output", "non_preferred_output"),
        ("response_chosen", "response_rejected"), ("response_j", "response_k")];
    private static readonly string[] Media = ["image", "images", "video", "videos", "audio", "audios"];

    /// <summary>Whether a column holds pictures, films or sound.</summary>
    public static bool IsMedia(string name) => Array.Exists(Media, each => each.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Columns without a meaning: all of them at once, with what leaves them out together with what is left out already.</summary>
    public static BadRowException Unknown(List<string> names, RowKind kind, string[] allowed, string[] leftOut)
    {
        var ignore = $"--data FILE,ignore={Ignore([.. leftOut, .. names])}";
        var near = names.Count == 1 ? DidYouMean(names[0], allowed) : "";
        var listed = string.Join(", ", names.Take(12).Select(name => $"'{name}'{(names.Count > 1 ? DidYouMean(name, allowed) : "")}"))
            + (names.Count > 12 ? $" and {names.Count - 12} more" : "");
        var (columns, have, them) = names.Count == 1 ? ("column", "has", "it") : ("columns", "have", "them");
        return names.Find(IsMedia) is { } media
            ? BadRowException.Malformed($"{columns} {listed} {have} no meaning in {Describe(kind)}: only text is read, and '{media}' holds something else",
                $"take such rows out of the file; to train on what they say without '{media}': {ignore}")
            : BadRowException.Malformed($"{columns} {listed} {have} no meaning in {Describe(kind)}{near}",
                $"map {them} to {(names.Count == 1 ? "a column that has" : "columns that have")}, or leave {them} out: {ignore}");
    }

    /// <summary>A row of several kinds: the first may be kept and the columns of the others left out.</summary>
    /// <param name="kinds">The columns that make each kind.</param>
    /// <param name="strangers">Columns that would be refused next.</param>
    /// <param name="leftOut">What is left out already.</param>
    public static BadRowException Several(IReadOnlyList<string[]> kinds, IEnumerable<string> strangers, string[] leftOut) =>
        BadRowException.Malformed($"the row is of two kinds at once: it has {string.Join(" as well as ", kinds.Select(Joined))}",
            $"keep one of them; --data FILE,ignore={Ignore([.. leftOut, .. kinds.Skip(1).SelectMany(columns => columns), .. strangers])} keeps "
            + Joined(kinds[0]));

    /// <summary>A row whose columns make no kind.</summary>
    /// <param name="all">Its columns, ours first.</param>
    /// <param name="nulls">Columns of ours that are null.</param>
    /// <param name="columns">The mapping that was given, or null.</param>
    /// <param name="known">All columns of ours.</param>
    /// <param name="isText">Whether a column holds text.</param>
    public static BadRowException NoKind(List<string> all, List<string> nulls, IReadOnlyDictionary<string, string>? columns, string[] known,
        Func<string, bool> isText)
    {
        const string Kinds = "rows have text, prompt and completion, messages, conversations, instruction and output, or input_ids";
        var what = $"{(all.Count == 1 ? "column" : "columns")} {string.Join(", ", all.Take(8).Select(name => $"'{name}'"))} "
            + $"{(all.Count == 1 ? "makes" : "make")} no known kind of row";
        var mapped = columns?.Where(pair => pair.Key != "ignore").ToList() ?? [];
        // Advice that was followed already would send the user in a circle: the mapping names columns that this row lacks.
        if (mapped.Find(pair => !all.Contains(pair.Key) && !nulls.Contains(pair.Key)) is { Key: { } ours } lost)
            return BadRowException.Malformed(what, mapped.Find(pair => pair.Key != ours && pair.Value == lost.Value) is { Key: { } other }
                ? $"column '{lost.Value}' cannot be both '{other}' and '{ours}'" : $"{Kinds}; the row has no column '{lost.Value}' to take for '{ours}'");
        if (nulls.Count > 0)
            return BadRowException.Malformed($"{what}, and {string.Join(", ", nulls.Select(name => $"'{name}'"))} {(nulls.Count == 1 ? "is" : "are")} null",
                "write what is missing");
        if (mapped.Count > 0)
            return BadRowException.Malformed(what,
                $"{Kinds}; the mapping {string.Join(',', mapped.Select(pair => $"{pair.Key}={pair.Value}"))} makes none of them");
        var way = Mapping(all, isText);
        var hint = way is not null ? null
            : all.Where(name => !known.Contains(name)).Select(name => DidYouMean(name, known)).FirstOrDefault(text => text.Length > 0);
        if (way is null && all.Count == 1 && isText(all[0])) way = $"text={all[0]}";
        // What the mapping does not take would be refused next.
        var rest = way is null ? [] : all.FindAll(name => !known.Contains(name) && !RowFields.IsBookKeeping(name) && !way.Split(',', '=').Contains(name));
        if (rest.Count > 0) way += $",ignore={Ignore(rest)}";
        return BadRowException.Malformed(what + hint, $"{Kinds}; map other names, for instance --data FILE,{way ?? "instruction=NAME,output=NAME"}");
    }

    /// <summary>The mapping that makes a preference pair of a row, or null.</summary>
    public static string? Pair(List<string> columns)
    {
        foreach (var (chosen, rejected) in Pairs)
            if (First(columns, chosen) is { } wanted && First(columns, rejected) is { } unwanted)
                return (First(columns, Prompts) is { } prompt ? $"instruction={prompt}," : "") + $"chosen={wanted},rejected={unwanted}";
        return null;
    }

    /// <summary>The mapping that fits common names of others, or null. What may be content is taken along: a system prompt, what a question is about.</summary>
    private static string? Mapping(List<string> columns, Func<string, bool> isText)
    {
        if (Pair(columns) is { } pair) return pair;
        var answer = First(columns, Answers);
        var system = First(columns, Systems) is { } rule ? $",system={rule}" : "";
        // A dialogue that is one text beside an answer is what is asked about.
        var chat = First(columns, Chats);
        if (chat is not null && !(answer is not null && isText(chat))) return $"messages={chat}{system}";
        // As turns: a model with a chat template is trained with it, one without gets a prompt in words.
        if (answer is not null && (First(columns, Prompts) ?? chat) is { } asked)
        {
            var about = First([.. columns.Where(column => column != asked && column != answer)], Contexts) is { } context ? $",input={context}" : "";
            return $"instruction={asked}{about},output={answer}{system}";
        }
        return answer is null && First(columns, Texts) is { } text ? $"text={text}" : null;
    }

    private static string? First(List<string> columns, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
            if (columns.Find(column => column.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } found) return found;
        return null;
    }

    private static string Joined(string[] columns) => string.Join(" and ", columns);

    private static string Ignore(IReadOnlyList<string> names)
    {
        var distinct = names.Where(name => name != "*").Distinct().ToList();
        return names.Contains("*") || distinct.Exists(name => name.IndexOfAny([',', '+', '=', ' ']) >= 0) ? "*" : string.Join('+', distinct);
    }

    private static string Describe(RowKind kind) => kind switch
    {
        RowKind.Text => "a text row",
        RowKind.Completion => "a prompt/completion row",
        RowKind.Chat => "a chat row",
        RowKind.Instruction => "an instruction row",
        RowKind.Pair => "a preference pair",
        RowKind.Feedback => "a labelled row",
        RowKind.Prompt => "a prompt",
        _ => "a row of token ids",
    };

    /// <summary>The candidate that a name is close to, as words behind it; empty where none is.</summary>
    public static string DidYouMean(string name, IEnumerable<string> candidates)
    {
        // A name of a file may be as long as it likes; none of ours is.
        if (name.Length > 40) return "";
        foreach (var candidate in candidates)
            if (candidate != name && Edits.Distance(name, candidate) <= (candidate.Length > 3 ? 2 : 1))
                return $" (did you mean '{candidate}'?)";
        return "";
    }
}
