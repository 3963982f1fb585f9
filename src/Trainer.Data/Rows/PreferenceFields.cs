using System.Text.Json;

namespace Trainer.Data.Rows;

/// <summary>Tells rows of preference data by their columns.</summary>
internal static class PreferenceFields
{
    /// <summary>The columns of such rows that no other row has.</summary>
    public static readonly string[] Known = ["chosen", "rejected", "rejected_response", "label", "prompt_ids", "chosen_ids", "rejected_ids", "completion_ids",
        "kl_completion_ids"];

    private static readonly string[] Context = ["prompt", .. RowFields.Chats, "instruction", "input", "system", "history", "tools", "functions",
        "chat_template_kwargs"];

    /// <summary>Kind and permitted columns, or null where the row is no preference data or is not read as such.</summary>
    /// <exception cref="BadRowException">The row is of another purpose than the run.</exception>
    public static (RowKind Kind, string[] Allowed)? Decide(IReadOnlyDictionary<string, JsonElement> fields, IEnumerable<string> strangers,
        RowPurpose purpose)
    {
        bool Has(params ReadOnlySpan<string> names)
        {
            foreach (var name in names)
                if (!fields.ContainsKey(name)) return false;
            return true;
        }
        (RowKind Kind, string[] Allowed)? found =
            Has("prompt_ids", "chosen_ids", "rejected_ids") ? (RowKind.Pair, ["prompt_ids", "chosen_ids", "rejected_ids"])
            : Has("chosen", "rejected") ? (RowKind.Pair, [.. Context, "chosen", "rejected"])
            : Has("rejected_response") && RowFields.Chats.Any(fields.ContainsKey) ? (RowKind.Pair, [.. Context, "rejected_response"])
            : Has("prompt_ids", "completion_ids", "label") ? (RowKind.Feedback, ["prompt_ids", "completion_ids", "label", "kl_completion_ids"])
            : Has("label") && purpose != RowPurpose.Supervised
                && (Has("prompt", "completion") || RowFields.Chats.Any(fields.ContainsKey) || Has("instruction", "output"))
                ? (RowKind.Feedback, [.. Context, "completion", "output", "label"])
            : null;
        if (purpose == RowPurpose.Prompts) return Prompt(fields);
        switch (purpose)
        {
            case RowPurpose.Supervised when found is not null:
                throw BadRowException.Malformed(
                    found.Value.Kind == RowKind.Pair ? "preference pairs are not supervised data" : "labelled answers are not supervised data",
                    found.Value.Kind == RowKind.Pair ? "pass --objective dpo, orpo or simpo" : "pass --objective kto");
            case RowPurpose.Pairs when found is not { Kind: RowKind.Pair }:
                throw BadRowException.Malformed(
                    $"the row is no preference pair{Missing(fields, "chosen", "rejected")}",
                    "give prompt, chosen and rejected (strings or lists of messages), or map other names: --data FILE,"
                    + (ColumnAdvice.Pair([.. fields.Keys, .. strangers]) ?? "chosen=NAME,rejected=NAME"));
            case RowPurpose.Feedback when found is null:
                throw BadRowException.Malformed(
                    $"the row says of no answer whether it is wanted{Missing(fields, "label")}",
                    "give prompt, completion and label (true or false), or map another name: --data FILE,label=NAME");
        }
        return found;
    }

    // Whatever else the row has is for the reward programs.
    private static (RowKind Kind, string[] Allowed) Prompt(IReadOnlyDictionary<string, JsonElement> fields)
    {
        string[] beside = ["system", "tools", "functions", "chat_template_kwargs"];
        foreach (var (column, allowed) in ((string, string[])[])
        [
            ("prompt_ids", []), ("prompt", beside), .. RowFields.Chats.Select(name => (name, beside)),
            ("instruction", ["input", "system", "history"]),
        ])
            if (fields.ContainsKey(column)) return (RowKind.Prompt, [column, .. allowed]);
        throw BadRowException.Malformed($"the row has no prompt{Missing(fields, "prompt")}",
            "give prompt (a string or a list of messages), messages, or instruction, or map another name: --data FILE,prompt=NAME");
    }

    private static string Missing(IReadOnlyDictionary<string, JsonElement> fields, params string[] wanted)
    {
        var absent = wanted.Where(name => !fields.ContainsKey(name)).ToList();
        return absent.Count == 0 ? "" : $": it has no column {string.Join(" and ", absent.Select(name => $"'{name}'"))}";
    }
}
