using System.Text.Json;

namespace Trainer.Data.Rows;

/// <summary>ShareGPT rows: <c>conversations</c> of <c>from</c> and <c>value</c>, with tool calls as LLaMA-Factory writes them.</summary>
internal static class ShareGpt
{
    /// <summary>The conversation and its tools in the names chat templates use.</summary>
    public static (JsonElement Messages, JsonElement? Tools) ToMessages(JsonElement turns, JsonElement? system, JsonElement? tools)
    {
        var messages = Messages.Write(writer =>
        {
            if (system is { } given && RowValue.Text(given, "system") is { Length: > 0 } text) Messages.Write(writer, "system", text);
            var i = 0;
            foreach (var turn in turns.EnumerateArray()) Turn(writer, turn, $"conversations[{i++}]");
        });
        return (messages, tools is { } list ? Wrapped(list) : null);
    }

    private static void Turn(Utf8JsonWriter writer, JsonElement turn, string at)
    {
        if (turn.ValueKind != JsonValueKind.Object) throw BadRowException.Malformed($"'{at}' is {RowFields.Name(turn)}; a turn must be an object with from and value");
        if (turn.TryGetProperty("role", out _) && !turn.TryGetProperty("from", out _))
        {
            turn.WriteTo(writer); // some files call messages "conversations"
            return;
        }
        if (!turn.TryGetProperty("from", out var from) || !turn.TryGetProperty("value", out var value))
            throw BadRowException.Malformed($"'{at}' lacks from or value; a turn must be an object with both");
        var (speaker, text) = (RowValue.Text(from, at + ".from"), RowValue.Text(value, at + ".value"));
        switch (speaker)
        {
            case "human" or "user":
                Messages.Write(writer, "user", text);
                break;
            case "gpt" or "assistant" or "chatgpt" or "model" or "bard" or "bing":
                Messages.Write(writer, "assistant", text, turn);
                break;
            case "system":
                Messages.Write(writer, "system", text);
                break;
            case "observation" or "tool" or "function_response" or "tool_response":
                Messages.Write(writer, "tool", text);
                break;
            case "function_call" or "tool_call":
                Call(writer, turn, text, at + ".value");
                break;
            default:
                throw BadRowException.Malformed($"'{at}.from' is '{speaker}'; it must be human, gpt, system, function_call or observation");
        }
    }

    private static void Call(Utf8JsonWriter writer, JsonElement turn, string text, string at)
    {
        JsonElement calls;
        try
        {
            calls = JsonDocument.Parse(text, RowParser.Options).RootElement;
        }
        catch (JsonException)
        {
            throw BadRowException.Malformed($"'{at}' is no JSON; a call must be {{\"name\": ..., \"arguments\": ...}}");
        }
        writer.WriteStartObject();
        writer.WriteString("role", "assistant");
        writer.WriteString("content", "");
        Messages.WriteTrained(writer, turn);
        writer.WriteStartArray("tool_calls");
        if (calls.ValueKind == JsonValueKind.Array)
            foreach (var call in calls.EnumerateArray()) Function(writer, call, at);
        else Function(writer, calls, at);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void Function(Utf8JsonWriter writer, JsonElement call, string at)
    {
        if (call.ValueKind != JsonValueKind.Object || !call.TryGetProperty("name", out _)) throw BadRowException.Malformed($"'{at}' names no function; a call must be {{\"name\": ..., \"arguments\": ...}}");
        writer.WriteStartObject();
        writer.WriteString("type", "function");
        writer.WritePropertyName("function");
        call.WriteTo(writer);
        writer.WriteEndObject();
    }

    /// <summary>Templates expect <c>{"type": "function", "function": {...}}</c>; these files often hold the inner object alone.</summary>
    private static JsonElement Wrapped(JsonElement tools) => Messages.Write(writer =>
    {
        foreach (var tool in tools.EnumerateArray())
        {
            if (tool.ValueKind == JsonValueKind.Object && tool.TryGetProperty("name", out _) && !tool.TryGetProperty("function", out _))
            {
                writer.WriteStartObject();
                writer.WriteString("type", "function");
                writer.WritePropertyName("function");
                tool.WriteTo(writer);
                writer.WriteEndObject();
            }
            else tool.WriteTo(writer);
        }
    });
}
