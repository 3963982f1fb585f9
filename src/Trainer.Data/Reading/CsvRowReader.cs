using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sylvan.Data.Csv;

namespace Trainer.Data.Reading;

/// <summary>Rows of a .csv file with a header line; comma, semicolon or tab, told by the header. Values stay strings.</summary>
internal static class CsvRowReader
{
    private const int MostHeaderChars = 1 << 20, MostColumns = 20_000;

    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static IEnumerable<RawRow> Read(Stream stream, string file, Limits limits)
    {
        using var text = new StreamReader(new Utf8CheckingStream(stream, file), new UTF8Encoding(false, true), false, 1 << 16);
        long line = 1;
        using var csv = Guarded(() => CsvDataReader.Create(HeaderFirst(text, file), new CsvDataReaderOptions
        {
            MaxBufferSize = limits.RowBytes,
            // The library takes a line that begins with '#' for a comment and drops it; a text may begin so. U+FFFF is no character.
            Comment = '\uFFFF',
        }), file, line, limits);
        var names = new string[csv.FieldCount];
        for (var i = 0; i < names.Length; i++) names[i] = csv.GetName(i);
        var twice = names.GroupBy(name => name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1);
        if (twice is not null) throw new DataException($"csv header names column '{twice.Key}' twice ({file}:1): each name must be used once; rename one");
        line += names.Sum(name => name.Count(c => c == '\n'));
        var bytes = new ArrayBufferWriter<byte>();
        while (Guarded(csv.Read, file, line + 1, limits))
        {
            line++;
            var fields = csv.RowFieldCount;
            var begins = line;
            for (var i = 0; i < fields; i++) line += csv.GetFieldSpan(i).Count('\n');
            if (fields == 1 && csv.GetFieldSpan(0).Trim().IsEmpty) continue; // a blank line
            if (fields != names.Length)
            {
                yield return RawRow.Bad(file, begins, 0, $"the row has {fields} fields and the header {names.Length}",
                    "put values that hold the separator in double quotes");
                continue;
            }
            bytes.ResetWrittenCount();
            using (var writer = new Utf8JsonWriter(bytes, Relaxed))
            {
                writer.WriteStartObject();
                for (var i = 0; i < fields; i++) writer.WriteString(names[i], csv.GetFieldSpan(i));
                writer.WriteEndObject();
            }
            yield return new RawRow(new RowSource(file, begins)) { Json = bytes.WrittenMemory.ToArray(), Textual = true };
        }
    }

    /// <summary>The text, once its header is known to be one: the library makes a column of each of its fields.</summary>
    private static Rejoined HeaderFirst(StreamReader text, string file)
    {
        var head = new char[MostHeaderChars];
        var count = text.ReadBlock(head);
        var header = head.AsSpan(0, count);
        if (header.IndexOfAny('\n', '\r') is >= 0 and var end) header = header[..end];
        else if (count == head.Length)
            throw new DataException($"csv header is too long ({file}:1): it has more than {MostHeaderChars >> 10} KiB without a line break; the first line of "
                + "a .csv file names the columns");
        if (header.Count(',') + header.Count(';') + header.Count('\t') >= MostColumns)
            throw new DataException($"csv header names more than {MostColumns} columns ({file}:1); the first line of a .csv file names the columns");
        return new Rejoined(new string(head, 0, count), text);
    }

    private static T Guarded<T>(Func<T> read, string file, long line, Limits limits)
    {
        try
        {
            return read();
        }
        catch (CsvRecordTooLargeException)
        {
            throw new DataException($"csv row is too long ({file}:{line}): it has more than the {limits.RowBytes} characters a row may have, or a quote is "
                + "not closed; split it into several rows");
        }
        catch (CsvMissingHeadersException)
        {
            throw new DataException($"data file is empty ({file}): it has no header line; the first line of a .csv file names the columns");
        }
        catch (CsvFormatException fault)
        {
            throw new DataException($"csv is broken ({file}:{line}): {char.ToLowerInvariant(fault.Message[0])}{fault.Message[1..].TrimEnd('.')}; write quotes "
                + "within quotes twice", fault);
        }
    }
}
