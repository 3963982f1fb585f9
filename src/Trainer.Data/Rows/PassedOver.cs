using System.Text.Json;

namespace Trainer.Data.Rows;

/// <summary>What a chat template left out of its text without a word: many templates know no tools, and a turn that is one call then trains an empty answer.</summary>
internal static class PassedOver
{
    /// <summary>Names of what is missing; a tool or a call is there when its name stands in the text.</summary>
    public static IReadOnlyList<string> Find(JsonElement messages, JsonElement? tools, string text)
    {
        var missing = new List<string>();
        if (tools is { ValueKind: JsonValueKind.Array } list && Names(list) is { Count: > 0 } names && !names.Exists(name => text.Contains(name, StringComparison.Ordinal)))
            missing.Add("tools (not in the chat template)");
        foreach (var message in messages.EnumerateArray())
        {
            if (!message.TryGetProperty("tool_calls", out var calls) || calls.ValueKind != JsonValueKind.Array) continue;
            if (Names(calls).TrueForAll(name => text.Contains(name, StringComparison.Ordinal))) continue;
            missing.Add("tool_calls (not in the chat template)");
            break;
        }
        return missing;
    }

    private static List<string> Names(JsonElement list)
    {
        var names = new List<string>();
        foreach (var entry in list.EnumerateArray())
        {
            if (entry.ValueKind != JsonValueKind.Object) continue;
            var named = entry.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object ? function : entry;
            if (named.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String && name.GetString() is { Length: > 0 } text) names.Add(text);
        }
        return names;
    }
}
