using System.Text.Json;
using Trainer.Data.Conversations;
using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>
/// The check after rendering: every content, reasoning, call and tool of a row must stand in the text. A piece is there when the template
/// writes the word that stands for it, and when the text holds what it says (trimmed or escaped, as templates do).
/// </summary>
internal static class LeftOut
{
    // What links messages and says nothing.
    private static readonly string[] Known = ["name", "tool_call_id", "id"];

    public static List<Loss> Find(Renders renders, string whole, JsonElement? tools, ChatTemplate template)
    {
        var (turns, marked) = (renders.Turns, renders.AllMarked(whole));
        var losses = new List<Loss>();
        if (tools is { } list && Names(list) is { Count: > 0 } names && !names.Exists(name => (marked?.Text ?? whole).Contains(name, StringComparison.Ordinal)))
            losses.Add(new Loss("tools", -1, ""));
        for (var i = 0; i < turns.Count; i++)
        {
            var turn = turns[i];
            // A field that the template never names may hold anything; what it holds is not in the text.
            foreach (var (field, value) in turn.Other)
                if (value is not null && !Known.Contains(field) && !template.Source.Contains(field, StringComparison.Ordinal))
                    losses.Add(new Loss($"field '{field}' of messages", i, turn.Role));
            if (turn.Calls.Count > 0 && !(marked is null
                ? turn.Calls.All(call => Stands(whole, call["function"]?["name"]?.ToString() ?? "")) : Shows(marked, i, PieceKind.Call)))
                    losses.Add(new Loss("tool_calls", i, turn.Role));
            if (turn.HasReasoning && !(Shows(marked, i, PieceKind.Reasoning) && Stands(whole, turn.Reasoning!)))
                losses.Add(new Loss("reasoning", i, turn.Role));
            if (turn.Content.Trim().Length > 0 && !(Shows(marked, i, PieceKind.Content) && Stands(whole, turn.Content)))
                losses.Add(new Loss("content", i, turn.Role));
        }
        return losses;
    }

    /// <summary>Whether arguments stand in the text as Python prints a dict, <c>{'city': 'Paris'}</c>, which no reader of calls takes.</summary>
    public static bool PrintsPython(Renders renders, string whole) =>
        renders.AllMarked(whole) is { } marked && marked.Pieces.Any(piece => piece.Kind == PieceKind.Call
        && marked.Text.Contains($"': '{piece.Word}'", StringComparison.Ordinal));

    private static bool Shows(MarkedText? marked, int turn, PieceKind kind) => marked?.Shows(turn, kind) ?? true;

    /// <summary>Whether a text holds what a piece says: as it is, without the blanks around it, escaped as JSON, or line by line.</summary>
    private static bool Stands(string whole, string piece)
    {
        var said = piece.Trim();
        if (said.Length == 0 || whole.Contains(said, StringComparison.Ordinal)) return true;
        if (whole.Contains(PythonJson.Escaped(said), StringComparison.Ordinal)) return true;
        foreach (var line in said.Split('\n'))
            if (line.Trim() is { Length: > 0 } words && !whole.Contains(words, StringComparison.Ordinal)) return false;
        return true;
    }

    private static List<string> Names(JsonElement tools)
    {
        var names = new List<string>();
        foreach (var tool in tools.EnumerateArray())
            if ((tool.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object ? function : tool).TryGetProperty("name",
                out var name)
                && name.ValueKind == JsonValueKind.String && name.GetString() is { Length: > 0 } text) names.Add(text);
        return names;
    }
}
