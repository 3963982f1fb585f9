namespace Trainer.Data.Reading;

/// <summary>Rows of a .jsonl file: one object a line, blank lines skipped, CRLF accepted.</summary>
internal static class JsonLinesReader
{
    public static IEnumerable<RawRow> Read(Stream stream, string file, Limits limits)
    {
        var buffer = new byte[1 << 16];
        int start = 0, end = 0, scanned = 0; // [start, scanned) holds no line break
        long line = 1;
        long skippedBytes = 0;
        var skipping = false;
        while (true)
        {
            var found = buffer.AsSpan(scanned, end - scanned).IndexOf((byte)'\n');
            if (found < 0)
            {
                scanned = end;
                if (end - start > limits.RowBytes)
                {
                    skipping = true;
                    skippedBytes += end - start;
                    start = scanned = end = 0;
                }
                if (start > 0)
                {
                    buffer.AsSpan(start, end - start).CopyTo(buffer);
                    (scanned, end, start) = (scanned - start, end - start, 0);
                }
                if (end == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
                var n = stream.Read(buffer, end, buffer.Length - end);
                end += n;
                if (n > 0) continue;
                if (skipping) yield return TooLong(file, line, skippedBytes + end - start, limits);
                else if (Row(buffer, start, end, file, line) is { } last) yield return last;
                yield break;
            }
            var stop = scanned + found;
            if (skipping || stop - start > limits.RowBytes) yield return TooLong(file, line, skippedBytes + stop - start, limits);
            else if (Row(buffer, start, stop, file, line) is { } row) yield return row;
            (skipping, skippedBytes) = (false, 0);
            start = scanned = stop + 1;
            line++;
        }
    }

    internal static RawRow TooLong(string file, long line, long bytes, Limits limits) =>
        RawRow.Bad(file, line, 0, $"the row is {bytes} bytes long, more than the {limits.RowBytes} a row may have", "split it into several rows");

    private static RawRow? Row(byte[] buffer, int start, int stop, string file, long line)
    {
        var span = buffer.AsSpan(start, stop - start);
        var trimmed = span.TrimStart(" \t\r"u8);
        var indent = span.Length - trimmed.Length;
        trimmed = trimmed.TrimEnd(" \t\r"u8);
        if (trimmed.IsEmpty) return null;
        if (trimmed[0] == '[')
            return RawRow.Bad(file, line, indent + 1, "the row is an array; a row must be an object",
                "a .jsonl file has one object a line; call a JSON array .json");
        return new RawRow(new RowSource(file, line)) { Json = trimmed.ToArray(), ColumnOffset = indent };
    }
}
