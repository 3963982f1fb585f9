using System.Text;
using System.Text.Json;
using Trainer.Data.Rows;

namespace Trainer.Data.Conversations;

/// <summary>Content given as a list of parts: texts are joined, thoughts are reasoning, other kinds are refused by name.</summary>
internal static class Parts
{
    /// <summary>What is said and what is thought, the latter null where no part is a thought.</summary>
    public static (string Said, string? Thought) Join(JsonElement list, string at)
    {
        var (said, thought) = (new StringBuilder(), (StringBuilder?)null);
        var i = 0;
        foreach (var part in list.EnumerateArray())
        {
            var place = $"{at}[{i++}]";
            if (part.ValueKind == JsonValueKind.Null) continue;
            if (part.ValueKind == JsonValueKind.String)
            {
                said.Append(RowValue.Text(part, place));
                continue;
            }
            if (part.ValueKind != JsonValueKind.Object)
                throw BadRowException.Malformed($"'{place}' is {RowFields.Name(part)}; a part of a content must be a string, or an object with type and text");
            var kind = Member(part, "type") is { } type ? RowValue.Text(type, place + ".type") : "text";
            switch (kind)
            {
                case "text" or "input_text" or "output_text":
                    said.Append(Text(part, place, "text", "value", "content"));
                    break;
                case "thinking" or "reasoning":
                    (thought ??= new StringBuilder()).Append(Text(part, place, "thinking", "reasoning", "text", "value"));
                    break;
                default:
                    throw BadRowException.Malformed($"'{place}' is a part of type '{kind}'; only parts of text can be read", "take such rows out of the file");
            }
        }
        return (said.ToString(), thought?.ToString());
    }

    /// <summary>Words given as a text, as parts, or as an object that holds either (Gemini's <c>systemInstruction</c>).</summary>
    public static string Words(JsonElement value, string at)
    {
        if (value.ValueKind == JsonValueKind.Object)
            foreach (var name in (ReadOnlySpan<string>)["parts", "content", "text"])
                if (Member(value, name) is { } inner) return Words(inner, $"{at}.{name}");
        return value.ValueKind == JsonValueKind.Array ? Join(value, at).Said : RowValue.Text(value, at);
    }

    private static string Text(JsonElement part, string place, params ReadOnlySpan<string> names)
    {
        var isThere = false;
        foreach (var name in names)
        {
            isThere |= part.TryGetProperty(name, out _);
            if (Member(part, name) is not { } value) continue;
            return value.ValueKind == JsonValueKind.Array ? Join(value, $"{place}.{name}").Said : RowValue.Text(value, $"{place}.{name}");
        }
        // A table writes null where a part has no words.
        if (isThere) return "";
        throw BadRowException.Malformed($"'{place}' has no text; a part must be {{\"type\": \"text\", \"text\": ...}}");
    }

    private static JsonElement? Member(JsonElement part, string name)
        => part.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
