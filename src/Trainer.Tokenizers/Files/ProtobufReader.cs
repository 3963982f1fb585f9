using System.Buffers.Binary;

namespace Trainer.Tokenizers.Files;

/// <summary>Reads the fields of one protobuf message (wire types 0, 1, 2 and 5).</summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> bytes, string file)
{
    private readonly string _file = file;
    private ReadOnlySpan<byte> _rest = bytes;

    /// <summary>Number of the current field.</summary>
    public int Field { get; private set; }

    /// <summary>Value of a varint or fixed field.</summary>
    public ulong Number { get; private set; }

    /// <summary>Bytes of a length-delimited field, else empty.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>The value of a fixed 32-bit field as a float.</summary>
    public readonly float Single => BitConverter.UInt32BitsToSingle((uint)Number);

    /// <summary>The value of an enumeration or a flag.</summary>
    public readonly int Int => unchecked((int)Number);

    /// <summary>Goes to the next field.</summary>
    public bool Read()
    {
        if (_rest.IsEmpty)
            return false;
        var key = Varint();
        Field = (int)(key >> 3);
        Bytes = default;
        switch (key & 7)
        {
            case 0:
                Number = Varint();
                break;
            case 1:
                Number = BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
                break;
            case 2:
                Bytes = Take(Varint());
                break;
            case 5:
                Number = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
                break;
            default:
                throw Fault();
        }
        return true;
    }

    /// <summary>The bytes as UTF-8 text.</summary>
    public readonly string Text()
    {
        try
        {
            return new System.Text.UTF8Encoding(false, true).GetString(Bytes);
        }
        catch (System.Text.DecoderFallbackException)
        {
            throw new TokenizerException($"tokenizer file '{_file}': a piece is not UTF-8; take the file anew from its model");
        }
    }

    private readonly TokenizerException Fault()
        => new($"tokenizer file '{_file}': it is no SentencePiece model or is cut off; take the file anew from its model");

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)_rest.Length)
            throw Fault();
        var taken = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return taken;
    }

    private ulong Varint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Take(1)[0];
            value |= (ulong)(part & 127) << shift;
            if (part < 128)
                return value;
        }
        throw Fault();
    }
}
