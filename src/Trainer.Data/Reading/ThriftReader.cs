namespace Trainer.Data.Reading;

/// <summary>Walks a Thrift structure in the compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md), believing no count in
/// it.</summary>
/// <param name="bytes">The bytes it lies in; reading behind them throws <see cref="EndOfStreamException"/>.</param>
internal sealed class ThriftReader(byte[] bytes)
{
    /// <summary>The type of a list.</summary>
    public const int ListType = 9;

    /// <summary>The type of a structure.</summary>
    public const int StructureType = 12;

    private const int MostLevels = 64;

    /// <summary>The byte that is read next.</summary>
    public int Position { get; private set; }

    /// <summary>Gives each field's number and type to <paramref name="field"/>, which reads or skips its value.</summary>
    public void Structure(Action<int, int> field, int type = StructureType)
    {
        if (type != StructureType) throw new InvalidDataException();
        var id = 0;
        while (true)
        {
            var head = Next();
            if (head == 0) return;
            id = head >> 4 is var step && step != 0 ? id + step : checked((int)Signed());
            field(id, head & 15);
        }
    }

    /// <summary>A list's number of elements and their type.</summary>
    public (long Count, int Type) List()
    {
        var head = Next();
        return (head >> 4 == 15 ? (long)Unsigned() : head >> 4, head & 15);
    }

    /// <summary>Passes over a value.</summary>
    public void Skip(int type, int depth = 0)
    {
        if (depth > MostLevels) throw new InvalidDataException();
        switch (type)
        {
            case 1 or 2: // true and false lie in the type
                break;
            case 3:
                Position++;
                break;
            case 4 or 5 or 6:
                Unsigned();
                break;
            case 7:
                Position += 8;
                break;
            case 8:
                // The length is read first: it moves the place it is added to.
                var length = checked((int)Unsigned());
                Position = checked(Position + length);
                break;
            case ListType or 10:
                var (count, element) = List();
                // Each element but a truth takes a byte at least: no count is believed beyond the bytes.
                if (count > bytes.Length) throw new InvalidDataException();
                for (long i = 0; i < count; i++) Skip(element is 1 or 2 ? 3 : element, depth + 1);
                break;
            case 11:
                Map(depth);
                break;
            case StructureType:
                Structure((_, kind) => Skip(kind, depth + 1));
                break;
            default:
                throw new InvalidDataException();
        }
        if (Position < 0) throw new InvalidDataException();
        if (Position > bytes.Length) throw new EndOfStreamException();
    }

    /// <summary>A whole number; ZigZag: the sign is the lowest bit.</summary>
    public long Signed() => Unsigned() is var number && (number & 1) == 0 ? (long)(number >> 1) : -(long)(number >> 1) - 1;

    private byte Next() => Position < bytes.Length ? bytes[Position++] : throw new EndOfStreamException();

    private void Map(int depth)
    {
        var count = (long)Unsigned();
        if (count == 0) return;
        if (count > bytes.Length) throw new InvalidDataException();
        var types = Next();
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
            var next = Next();
            number |= (ulong)(next & 127) << shift;
            if (next < 128) return number;
        }
        throw new InvalidDataException();
    }
}
