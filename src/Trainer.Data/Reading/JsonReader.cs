namespace Trainer.Data.Reading;

/// <summary>
/// Rows of a .json file: an array of objects, or objects one behind the other. Only the extent of each row is found here (strings,
/// escapes and nesting followed, line breaks counted); workers parse it. So a file of any size streams.
/// </summary>
internal static class JsonReader
{
    public static IEnumerable<RawRow> Read(Stream stream, string file, Limits limits)
    {
        var buffer = new byte[1 << 16];
        int start = 0, at = 0, end = 0;   // [start, at) is the part of the current row seen so far
        long line = 1, column = 0;        // of the byte at `at`, column zero-based
        var depth = 0;
        bool inRow = false, inString = false, escaped = false, tooLong = false;
        bool array = false, closed = false, needsComma = false, first = true;
        long rowLine = 0, rowColumn = 0, rowBytes = 0;
        while (true)
        {
            if (at == end)
            {
                if (!inRow || tooLong) start = at;
                if (start > 0)
                {
                    buffer.AsSpan(start, end - start).CopyTo(buffer);
                    (at, end, start) = (at - start, end - start, 0);
                }
                if (end == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
                var n = stream.Read(buffer, end, buffer.Length - end);
                if (n == 0) break;
                end += n;
            }
            var c = buffer[at];
            if (inRow)
            {
                rowBytes++;
                if (rowBytes > limits.RowBytes) tooLong = true;
                if (inString)
                {
                    if (escaped) escaped = false;
                    else if (c == '\\') escaped = true;
                    else if (c == '"') inString = false;
                }
                else if (c == '"') inString = true;
                else if (c is (byte)'{' or (byte)'[') depth++;
                else if (c is (byte)'}' or (byte)']') depth--;
                Step(c, ref at, ref line, ref column);
                if (depth > 0) continue;
                inRow = false;
                needsComma = array;
                if (tooLong) yield return JsonLinesReader.TooLong(file, rowLine, rowBytes, limits);
                else yield return new RawRow(new RowSource(file, rowLine)) { Json = buffer.AsSpan(start, at - start).ToArray(), ColumnOffset = rowColumn };
                (start, tooLong) = (at, false);
                continue;
            }
            if (c is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
            {
                Step(c, ref at, ref line, ref column);
                continue;
            }
            if (closed) throw Broken(file, line, column, "text after the closing bracket of the array");
            if (first && c == '[') array = true;
            else if (array && c == ']') closed = true;
            else if (needsComma && c == ',') needsComma = false;
            else if (needsComma) throw Broken(file, line, column, "a comma or the closing bracket is missing between rows");
            else if (c == '{') (inRow, depth, start, rowLine, rowColumn, rowBytes) = (true, 1, at, line, column, 1);
            else
                throw Broken(file, line, column, c == '['
                    ? "a row is an array; a row must be an object" : "a row must be an object such as {\"text\": \"...\"}");
            first = false;
            Step(c, ref at, ref line, ref column);
        }
        if (inRow) throw Broken(file, rowLine, rowColumn, "the file ends inside the row that begins here");
        if (array && !closed) throw Broken(file, line, column, "the file ends before the closing bracket of its array");
    }

    private static void Step(byte c, ref int at, ref long line, ref long column)
    {
        at++;
        column++;
        if (c != '\n') return;
        line++;
        column = 0;
    }

    private static DataException Broken(string file, long line, long column, string reason) =>
        new($"data file is not valid JSON ({file}:{line}, column {column + 1}): {reason}; fix the file, or use .jsonl with one object a line");
}
