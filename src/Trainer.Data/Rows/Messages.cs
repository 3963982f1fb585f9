using System.Buffers;
using System.Text.Json;

namespace Trainer.Data.Rows;

/// <summary>Writes lists of chat messages for rows that have none of their own.</summary>
internal static class Messages
{
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
    public static void Write(Utf8JsonWriter writer, string role, string content)
    {
        writer.WriteStartObject();
        writer.WriteString("role", role);
        writer.WriteString("content", content);
        writer.WriteEndObject();
    }
}
