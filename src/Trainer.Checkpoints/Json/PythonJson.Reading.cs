using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Checkpoints.Json;

// Python's json module reads and writes Infinity, -Infinity and NaN, which JSON lacks, and editors put a byte order mark in front. Infinity
// becomes a number that overflows to it, NaN the text "NaN", so that a reader who needs a number says what it found.
public static partial class PythonJson
{
    /// <summary>Parses a config file as Python reads it: infinities count as numbers, NaN as the text "NaN", a byte order mark is passed over.</summary>
    /// <param name="bytes">The file.</param>
    /// <param name="allowDuplicates">Whether a key may come twice; the last one counts.</param>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static JsonDocument Parse(byte[] bytes, bool allowDuplicates = true) => JsonDocument.Parse(Plain(bytes), Lenient(allowDuplicates));

    /// <summary>The same as a tree that can be changed; <see cref="Serialize"/> writes infinities back as Python does.</summary>
    /// <param name="bytes">The file.</param>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static JsonNode? ParseNode(byte[] bytes) => JsonNode.Parse(Plain(bytes).Span, documentOptions: Lenient(true));

    private static JsonDocumentOptions Lenient(bool allowDuplicates)
        => new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip, AllowDuplicateProperties = allowDuplicates };

    private static ReadOnlyMemory<byte> Plain(byte[] bytes)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        ReadOnlyMemory<byte> text = bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes.AsMemory(3) : bytes;
        return text.Span.IndexOf("Infinity"u8) < 0 && text.Span.IndexOf("NaN"u8) < 0 ? text : Replaced(text.Span);
    }

    private static byte[] Replaced(ReadOnlySpan<byte> text)
    {
        var plain = new MemoryStream(text.Length);
        var isText = false;
        for (var i = 0; i < text.Length; i++)
        {
            if (!isText && text[i..].StartsWith("Infinity"u8))
            {
                plain.Write("1e999"u8);
                i += "Infinity".Length - 1;
                continue;
            }
            if (!isText && text[i..].StartsWith("NaN"u8))
            {
                plain.Write("\"NaN\""u8);
                i += "NaN".Length - 1;
                continue;
            }
            // Within a text a backslash takes the next byte with it.
            if (isText && text[i] == '\\' && i + 1 < text.Length) plain.WriteByte(text[i++]);
            else if (text[i] == '"') isText = !isText;
            plain.WriteByte(text[i]);
        }
        return plain.ToArray();
    }
}
