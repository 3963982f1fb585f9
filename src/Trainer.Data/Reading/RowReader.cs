namespace Trainer.Data.Reading;

/// <summary>Picks the reader by the file's extension and turns faults of the disk or the compression into sentences.</summary>
internal static class RowReader
{
    /// <summary>The extensions that can be read, each also with .gz or .zst behind it (parquet excepted).</summary>
    public static readonly IReadOnlyList<string> Extensions = [".jsonl", ".ndjson", ".jsonlines", ".json", ".txt", ".csv", ".tsv", ".parquet"];

    /// <param name="input">The open file.</param>
    /// <param name="limits">Bounds of a row.</param>
    /// <param name="only">The rows to give, or null for all.</param>
    public static IEnumerable<RawRow> Read(InputFile input, Limits limits, Sources.RowRange? only)
    {
        var rows = Read(input, limits);
        if (only is not { } range) return rows;
        // Rows behind the range are not read at all; there may be more of them than an int counts.
        return Within(rows, range);

        static IEnumerable<RawRow> Within(IEnumerable<RawRow> rows, Sources.RowRange range)
        {
            long number = 0;
            foreach (var row in rows)
            {
                if (number >= range.To) yield break;
                if (number++ >= range.From) yield return row;
                if (number >= range.To) yield break;
            }
        }
    }

    public static IEnumerable<RawRow> Read(InputFile input, Limits limits)
    {
        var rows = InputFile.FormatOf(input.Path) switch
        {
            ".jsonl" or ".ndjson" or ".jsonlines" => JsonLinesReader.Read(input.Content, input.Path, limits),
            ".json" => JsonReader.Read(input.Content, input.Path, limits),
            ".txt" => TextReader.Read(input.Content, input.Path, limits),
            ".csv" or ".tsv" => CsvRowReader.Read(input.Content, input.Path, limits),
            ".parquet" => input.Content.CanSeek ? ParquetRowReader.Read(input.Content, input.Path, limits)
                : throw new DataException($"parquet file is compressed as a whole ({input.Path}): its columns already are; unpack it"),
            _ => throw new DataException($"data file has an unknown format ({input.Path}): its name ends in none of {string.Join(", ", Extensions)}; convert "
                + "or rename it"),
        };
        using var each = rows.GetEnumerator();
        long line = 0;
        while (true)
        {
            try
            {
                if (!each.MoveNext()) yield break;
            }
            catch (Exception fault) when (fault is IOException or InvalidDataException)
            {
                throw new DataException($"cannot read on in data file '{input.Path}' after line {line}: {InputFile.Reason(input.Path, fault)}; check that it "
                    + "is whole", fault);
            }
            line = each.Current.Source.Line;
            yield return each.Current;
        }
    }
}
