using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Trainer.Data.Reading;

namespace Trainer.Data.Rows;

/// <summary>Bytes of a row to JSON, with the fault's line and column in the file.</summary>
internal static class RowParser
{
    // A key that comes twice would silently lose one of its values.
    public static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false, MaxDepth = 64 };

    public static JsonElement Parse(RawRow row)
    {
        var bytes = row.Json;
        if (!Utf8.IsValid(bytes.Span))
        {
            var at = FirstInvalid(bytes.Span);
            throw BadRowException.Malformed("the text is not valid UTF-8", "save the file as UTF-8", row.ColumnOffset + at + 1);
        }
        try
        {
            return JsonDocument.Parse(bytes, Options).RootElement;
        }
        catch (JsonException fault)
        {
            var (line, position) = (fault.LineNumber ?? 0, fault.BytePositionInLine ?? 0);
            var reason = Reason(fault.Message);
            if (line == 0 && reason.StartsWith("Expected depth to be zero", StringComparison.Ordinal))
                throw BadRowException.Malformed("not valid JSON: the line ends before its object does",
                    "write every object on one line; one JSON document over many lines belongs into a .json file", row.ColumnOffset + position + 1);
            throw line == 0
                ? BadRowException.Malformed($"not valid JSON: {reason}", "fix the line", row.ColumnOffset + position + 1)
                : BadRowException.Malformed($"not valid JSON: {reason} (at line {row.Source.Line + line}, column {position + 1})", "fix the file");
        }
    }

    private static long FirstInvalid(ReadOnlySpan<byte> bytes)
    {
        long at = 0;
        while (Rune.DecodeFromUtf8(bytes, out _, out var used) == OperationStatus.Done)
        {
            at += used;
            bytes = bytes[used..];
        }
        return at;
    }

    /// <summary>The library's sentence without its position and advice, which name what a user cannot see.</summary>
    private static string Reason(string message)
    {
        var cut = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        if (cut >= 0) message = message[..cut];
        cut = message.IndexOf(" Change the reader options.", StringComparison.Ordinal);
        if (cut >= 0) message = message[..cut];
        return message.TrimEnd('.', ' ');
    }
}
