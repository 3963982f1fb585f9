namespace Trainer.Data.Reading;

/// <summary>
/// Looks at the footer of a .parquet file before the library does: the library believes every count in it, and walks nested columns by recursion.
/// The footer is a Thrift structure in the compact protocol: FileMetaData { 1 version, 2 schema, 3 rows, 4 row groups }.
/// </summary>
internal static class ParquetBounds
{
    private const int MostLevels = 64, MostGroups = 4096, MostFooterBytes = 64 << 20;

    // A page of one repeated value says a million rows in a few bytes; beyond that a count is a lie.
    private const long FreeRows = 1_000_000, RowsPerByte = 64;

    /// <summary>Why a file must not be read, or null. What is damaged in another way is left to the library to name.</summary>
    public static string? Fault(Stream stream)
    {
        Span<byte> tail = stackalloc byte[8];
        if (stream.Length < 12) return null;
        stream.Position = stream.Length - 8;
        stream.ReadExactly(tail);
        var length = BitConverter.ToInt32(tail);
        if (length is < 1 or > MostFooterBytes || length > stream.Length - 8) return null;
        var footer = new byte[length];
        stream.Position = stream.Length - 8 - length;
        stream.ReadExactly(footer);
        try
        {
            return new Walk(new ThriftReader(footer), stream.Length).Fault();
        }
        catch (Exception fault) when (fault is EndOfStreamException or InvalidDataException or OverflowException)
        {
            return "its footer is damaged";
        }
    }

    private sealed class Walk(ThriftReader footer, long fileBytes)
    {
        public string? Fault()
        {
            string? fault = null;
            footer.Structure((field, type) =>
            {
                if (field == 2 && type == ThriftReader.ListType) fault ??= Schema();
                else if (field == 3) fault ??= Rows(footer.Signed());
                else if (field == 4 && type == ThriftReader.ListType) fault ??= Groups();
                else footer.Skip(type);
            });
            return fault;
        }

        private string? Rows(long rows) => rows < 0 || rows > FreeRows + (RowsPerByte * fileBytes)
            ? $"it announces {rows} rows, which its {fileBytes} bytes cannot hold" : null;

        /// <summary>Elements in depth-first order, each with the number of its children (field 5).</summary>
        private string? Schema()
        {
            var (count, type) = footer.List();
            var open = new Stack<long>();
            for (long i = 0; i < count; i++)
            {
                long children = 0;
                footer.Structure((field, kind) =>
                {
                    if (field == 5) children = footer.Signed();
                    else footer.Skip(kind);
                }, type);
                while (open.TryPop(out var left))
                {
                    if (left == 0) continue;
                    open.Push(left - 1);
                    break;
                }
                if (children > 0) open.Push(children);
                if (open.Count > MostLevels) return $"its columns are nested deeper than {MostLevels} levels";
            }
            return null;
        }

        private string? Groups()
        {
            var (count, type) = footer.List();
            if (count > MostGroups) return $"it has {count} row groups, more than {MostGroups}; write it with larger ones";
            string? fault = null;
            for (long i = 0; i < count; i++)
                footer.Structure((field, kind) =>
                {
                    if (field == 3) fault ??= Rows(footer.Signed());
                    else footer.Skip(kind);
                }, type);
            return fault;
        }
    }
}
