using System.Text.Json;
using Trainer.Data.Rows;

namespace Trainer.Data.Chat;

/// <summary>A list of messages and the parts of it that are rendered by themselves.</summary>
internal sealed class Conversation
{
    private readonly JsonElement[] _messages;

    public Conversation(JsonElement messages)
    {
        Whole = messages;
        _messages = [.. messages.EnumerateArray()];
    }

    public JsonElement Whole { get; }

    public int Count => _messages.Length;

    /// <summary>Indices of the turns a model writes.</summary>
    public IEnumerable<int> AssistantTurns => Enumerable.Range(0, Count).Where(i => Text(i, "role") is "assistant" or "model" or "bot");

    /// <summary>Whether a turn is to be trained, as far as the row says.</summary>
    public bool IsTrained(int index) => Messages.IsTrained(_messages[index]);

    /// <summary>The first messages.</summary>
    public JsonElement Take(int count) => Messages.Write(writer =>
    {
        foreach (var message in _messages.AsSpan(0, count)) message.WriteTo(writer);
    });

    /// <summary>The conversation with another content in one message; a list of parts stays a list.</summary>
    public JsonElement WithContent(int index, string content) => Messages.Write(writer =>
    {
        for (var i = 0; i < Count; i++)
        {
            if (i != index)
            {
                _messages[i].WriteTo(writer);
                continue;
            }
            writer.WriteStartObject();
            foreach (var property in _messages[i].EnumerateObject())
            {
                if (property.Name != "content") property.WriteTo(writer);
                else if (property.Value.ValueKind == JsonValueKind.Array) WriteParts(writer, content);
                else writer.WriteString("content", content);
            }
            writer.WriteEndObject();
        }
    });

    /// <summary>Whether the message says all it says in its content.</summary>
    public bool IsPlain(int index) =>
        _messages[index].TryGetProperty("content", out var content) && content.ValueKind is JsonValueKind.String or JsonValueKind.Array && !Calls(index);

    /// <summary>Whether something besides the content is said, such as reasoning.</summary>
    public bool HasOtherText(int index) => _messages[index].EnumerateObject().Any(property => property.Name is not ("role" or "content" or "name")
        && property.Value.ValueKind is JsonValueKind.String or JsonValueKind.Array or JsonValueKind.Object);

    /// <summary>The conversation with nothing but role and content in one message.</summary>
    public JsonElement Bare(int index) => Messages.Write(writer =>
    {
        for (var i = 0; i < Count; i++)
        {
            if (i != index)
            {
                _messages[i].WriteTo(writer);
                continue;
            }
            writer.WriteStartObject();
            foreach (var property in _messages[i].EnumerateObject().Where(property => property.Name is "role" or "content")) property.WriteTo(writer);
            writer.WriteEndObject();
        }
    });

    public string? Content(int index) => Text(index, "content");

    private bool Calls(int index) => _messages[index].TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array && calls.GetArrayLength() > 0;

    private string? Text(int index, string name) =>
        _messages[index].ValueKind == JsonValueKind.Object && _messages[index].TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static void WriteParts(Utf8JsonWriter writer, string content)
    {
        writer.WriteStartArray("content");
        writer.WriteStartObject();
        writer.WriteString("type", "text");
        writer.WriteString("text", content);
        writer.WriteEndObject();
        writer.WriteEndArray();
    }
}
