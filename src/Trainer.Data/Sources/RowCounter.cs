using Trainer.Data.Reading;

namespace Trainer.Data.Sources;

/// <summary>Counts the rows of a file without reading what they say.</summary>
internal static class RowCounter
{
    /// <summary>Rows of a file, counted up to <paramref name="most"/>.</summary>
    /// <exception cref="DataException">The file cannot be read.</exception>
    public static long Count(string path, long? most = null)
    {
        using var input = InputFile.Open(path);
        if (InputFile.FormatOf(path) == ".parquet" && input.Content.CanSeek) return ParquetRowReader.Count(input.Content, path);
        long rows = 0;
        if (most is <= 0) return 0;
        foreach (var _ in RowReader.Read(input, Limits.Default))
            if (++rows == most) break;
        return rows;
    }
}
