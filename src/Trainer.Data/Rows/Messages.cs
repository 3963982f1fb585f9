using System.Buffers;
using System.Text.Json;

namespace Trainer.Data.Rows;

/// <summary>Lists of chat messages: checked, written, looked at.</summary>
internal static class Messages
{
    /// <summary>Refuses what no template can render: no messages, no role, content that is no text.</summary>
    public static JsonElement Checked(JsonElement messages, string column)
    {
        if (messages.GetArrayLength() == 0) throw BadRowException.Malformed($"column '{column}' holds no messages");
        var i = 0;
        foreach (var message in messages.EnumerateArray())
        {
            var at = $"{column}[{i++}]";
            if (message.ValueKind != JsonValueKind.Object) throw BadRowException.Malformed($"'{at}' is {RowFields.Name(message)}; a message must be an object with role and content");
            if (!message.TryGetProperty("role", out var role)) throw BadRowException.Malformed($"'{at}' has no role; a message must be an object with role and content");
            RowValue.Text(role, at + ".role");
            var calls = message.TryGetProperty("tool_calls", out var list) && list.ValueKind != JsonValueKind.Null;
            if (calls && list.ValueKind != JsonValueKind.Array) throw BadRowException.Malformed($"'{at}.tool_calls' is {RowFields.Name(list)}; it must be a list");
            if (!message.TryGetProperty("content", out var content) || content.ValueKind == JsonValueKind.Null)
            {
                if (!calls) throw BadRowException.Malformed($"'{at}' has no content and no tool calls");
            }
            else if (content.ValueKind is not (JsonValueKind.String or JsonValueKind.Array))
                throw BadRowException.Malformed($"'{at}.content' is {RowFields.Name(content)}; it must be a string");
            CheckTrained(message, at);
            RowValue.Checked(message, at);
        }
        return messages;
    }

    /// <summary>Whether the row's author leaves a turn in the loss: not where its <c>weight</c> is 0 (OpenAI, mistral-finetune) or its <c>train</c> is false (axolotl).</summary>
    public static bool IsTrained(JsonElement message) =>
        !(message.TryGetProperty("weight", out var weight) && weight.ValueKind == JsonValueKind.Number && weight.GetDouble() == 0)
        && !(message.TryGetProperty("train", out var train) && train.ValueKind == JsonValueKind.False);

    private static void CheckTrained(JsonElement message, string at)
    {
        if (message.TryGetProperty("weight", out var weight) && weight.ValueKind != JsonValueKind.Null
            && !(weight.ValueKind == JsonValueKind.Number && weight.GetDouble() is 0 or 1))
            throw BadRowException.Malformed($"'{at}.weight' is {(weight.ValueKind == JsonValueKind.Number ? weight.GetRawText() : RowFields.Name(weight))}; a turn's weight must be 0 or 1", "give the row a weight of its own, or leave it out");
        if (message.TryGetProperty("train", out var train) && train.ValueKind is not (JsonValueKind.Null or JsonValueKind.True or JsonValueKind.False))
            throw BadRowException.Malformed($"'{at}.train' is {RowFields.Name(train)}; it must be true or false");
    }

    /// <summary>Whether an assistant turn says nothing and calls nothing.</summary>
    public static bool HasEmptyAnswer(JsonElement messages)
    {
        foreach (var message in messages.EnumerateArray())
        {
            if (message.GetProperty("role").GetString() is not ("assistant" or "model")) continue;
            if (message.TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array && calls.GetArrayLength() > 0) continue;
            if (message.TryGetProperty("content", out var content) && content.ValueKind == JsonValueKind.String && string.IsNullOrWhiteSpace(content.GetString())) return true;
        }
        return false;
    }

    /// <summary>A list of messages written by <paramref name="write"/>.</summary>
    public static JsonElement Write(Action<Utf8JsonWriter> write)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(bytes))
        {
            writer.WriteStartArray();
            write(writer);
            writer.WriteEndArray();
        }
        return JsonDocument.Parse(bytes.WrittenMemory).RootElement;
    }

    /// <summary>One message of plain text.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="role">Who speaks.</param>
    /// <param name="content">What is said.</param>
    /// <param name="turn">The turn of another layout, whose word on training is kept.</param>
    public static void Write(Utf8JsonWriter writer, string role, string content, JsonElement turn = default)
    {
        writer.WriteStartObject();
        writer.WriteString("role", role);
        writer.WriteString("content", content);
        if (turn.ValueKind == JsonValueKind.Object) WriteTrained(writer, turn);
        writer.WriteEndObject();
    }

    /// <summary>Writes on what a turn of another layout says of its training.</summary>
    public static void WriteTrained(Utf8JsonWriter writer, JsonElement turn)
    {
        foreach (var property in turn.EnumerateObject().Where(property => property.Name is "weight" or "train")) property.WriteTo(writer);
    }
}
