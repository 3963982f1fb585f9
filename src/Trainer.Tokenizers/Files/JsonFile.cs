using System.Text.Json;

namespace Trainer.Tokenizers.Files;

/// <summary>Reads the JSON files of a tokenizer.</summary>
internal static class JsonFile
{
    private const long LargestFile = 512L << 20;

    /// <summary>Bytes of a file, or null where it does not exist.</summary>
    public static byte[]? ReadBytes(string path)
    {
        try
        {
            var info = new FileInfo(path);
            if (!info.Exists)
                return null;
            if (info.Length > LargestFile)
                throw new TokenizerException($"tokenizer file '{path}': {info.Length} bytes are more than the {LargestFile} allowed; check that this is a tokenizer");
            return File.ReadAllBytes(path);
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
