using System.Text.Json;

namespace Trainer.Tokenizers.Files;

/// <summary>Reads the JSON files of a tokenizer.</summary>
internal static class JsonFile
{
    private const long LargestFile = 96L << 20;

    /// <summary>Bytes of a file, or null where it does not exist.</summary>
    public static byte[]? ReadBytes(string path)
    {
        try
        {
            if (!File.Exists(path))
                return null;
            // Through an open file: a link, as the hub's cache has them, would tell its own length.
            using var file = File.OpenRead(path);
            if (file.Length > LargestFile)
                throw new TokenizerException($"tokenizer file '{path}': {file.Length} bytes are more than the {LargestFile} allowed; check that this is a "
                    + "tokenizer");
            var bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new TokenizerException($"tokenizer file '{path}' cannot be read: {fault.Message}", fault);
        }
    }

    /// <summary>Parses a JSON object.</summary>
    public static JsonSection Parse(byte[] bytes, string path)
    {
        try
        {
            var span = bytes.AsMemory();
            if (bytes.AsSpan().StartsWith("\uFEFF"u8))
                span = span[3..];
            var document = JsonDocument.Parse(span);
            var section = new JsonSection(document.RootElement, path, "");
            return document.RootElement.ValueKind == JsonValueKind.Object ? section : throw section.Fault("an object was expected");
        }
        catch (JsonException fault)
        {
            throw new TokenizerException($"tokenizer file '{path}': {Where(fault)} is no valid JSON; repair the file or take it anew from its model", fault);
        }
    }

    private static string Where(JsonException fault) => fault.LineNumber is { } line ? $"line {line + 1}, byte {fault.BytePositionInLine + 1}" : "the file";
}
