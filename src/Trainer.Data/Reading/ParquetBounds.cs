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
            return new Walk(footer, stream.Length).Fault();
        }
        catch (Exception fault) when (fault is IndexOutOfRangeException or InvalidDataException or OverflowException)
        {
            return "its footer is damaged";
        }
    }

    private sealed class Walk(byte[] bytes, long fileBytes)
    {
        private int _at;

        public string? Fault()
        {
            string? fault = null;
            Structure((field, type) =>
            {
                if (field == 2 && type == 9) fault ??= Schema();
                else if (field == 3) fault ??= Rows(Signed());
                else if (field == 4 && type == 9) fault ??= Groups();
                else Skip(type, 0);
            });
            return fault;
        }

        private string? Rows(long rows) => rows < 0 || rows > FreeRows + (RowsPerByte * fileBytes) ? $"it announces {rows} rows, which its {fileBytes} bytes cannot hold" : null;

        /// <summary>Elements in depth-first order, each with the number of its children (field 5).</summary>
        private string? Schema()
        {
            var (count, type) = List();
            var open = new Stack<long>();
            for (long i = 0; i < count; i++)
            {
                long children = 0;
                Structure((field, kind) =>
                {
                    if (field == 5) children = Signed();
                    else Skip(kind, 0);
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
            var (count, type) = List();
            if (count > MostGroups) return $"it has {count} row groups, more than {MostGroups}; write it with larger ones";
            string? fault = null;
            for (long i = 0; i < count; i++)
                Structure((field, kind) =>
                {
                    if (field == 3) fault ??= Rows(Signed());
                    else Skip(kind, 0);
                }, type);
            return fault;
        }

        private void Structure(Action<int, int> field, int type = 12)
        {
            if (type != 12) throw new InvalidDataException();
            var id = 0;
            while (true)
            {
                var head = bytes[_at++];
                if (head == 0) return;
                id = head >> 4 is var step && step != 0 ? id + step : checked((int)Signed());
                field(id, head & 15);
            }
        }

        private (long Count, int Type) List()
        {
            var head = bytes[_at++];
            return (head >> 4 == 15 ? (long)Unsigned() : head >> 4, head & 15);
        }

        private void Skip(int type, int depth)
        {
            if (depth > MostLevels) throw new InvalidDataException();
            switch (type)
            {
                case 1 or 2: // true and false lie in the type
                    break;
                case 3:
                    _at++;
                    break;
                case 4 or 5 or 6:
                    Unsigned();
                    break;
                case 7:
                    _at += 8;
                    break;
                case 8:
                    // The length is read first: it moves the place it is added to.
                    var length = checked((int)Unsigned());
                    _at = checked(_at + length);
                    break;
                case 9 or 10:
                    var (count, element) = List();
                    // Each element but a truth takes a byte at least: no count is believed beyond the footer.
                    if (count > bytes.Length) throw new InvalidDataException();
                    for (long i = 0; i < count; i++) Skip(element is 1 or 2 ? 3 : element, depth + 1);
                    break;
                case 11:
                    Map(depth);
                    break;
                case 12:
                    Structure((_, kind) => Skip(kind, depth + 1));
                    break;
                default:
                    throw new InvalidDataException();
            }
            if (_at < 0 || _at > bytes.Length) throw new InvalidDataException();
        }

        private void Map(int depth)
        {
            var count = (long)Unsigned();
            if (count == 0) return;
            if (count > bytes.Length) throw new InvalidDataException();
            var types = bytes[_at++];
            for (long i = 0; i < count; i++)
            {
                Skip(types >> 4 is 1 or 2 ? 3 : types >> 4, depth + 1);
                Skip((types & 15) is 1 or 2 ? 3 : types & 15, depth + 1);
            }
        }

        private ulong Unsigned()
        {
            ulong number = 0;
            for (var shift = 0; shift < 64; shift += 7)
            {
                var next = bytes[_at++];
                number |= (ulong)(next & 127) << shift;
                if (next < 128) return number;
            }
            throw new InvalidDataException();
        }

        // ZigZag: the sign is the lowest bit.
        private long Signed() => Unsigned() is var number && (number & 1) == 0 ? (long)(number >> 1) : -(long)(number >> 1) - 1;
    }
}
