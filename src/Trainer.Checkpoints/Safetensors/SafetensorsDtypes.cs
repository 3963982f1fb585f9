namespace Trainer.Checkpoints.Safetensors;

/// <summary>Names and sizes of <see cref="SafetensorsDtype"/>.</summary>
public static class SafetensorsDtypes
{
    private static readonly (string Name, int Bits)[] Table =
    [
        ("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8), ("F8_E5M2", 8), ("F8_E4M3", 8), ("F8_E8M0", 8),
        ("I16", 16), ("U16", 16), ("F16", 16), ("BF16", 16), ("I32", 32), ("U32", 32), ("F32", 32), ("C64", 64), ("F64", 64), ("I64", 64), ("U64", 64),
    ];

    /// <summary>The name as the header of a file spells it, e.g. "BF16".</summary>
    public static string Name(this SafetensorsDtype dtype) => Table[(int)dtype].Name;

    /// <summary>Bits of one element.</summary>
    public static int Bits(this SafetensorsDtype dtype) => Table[(int)dtype].Bits;

    /// <summary>The type of a header's name; false where the name is unknown.</summary>
    public static bool TryParse(string name, out SafetensorsDtype dtype)
    {
        for (var i = 0; i < Table.Length; i++)
        {
            if (string.Equals(Table[i].Name, name, StringComparison.Ordinal))
            {
                dtype = (SafetensorsDtype)i;
                return true;
            }
        }
        dtype = default;
        return false;
    }

    /// <summary>Bytes of a tensor, or null where the shape is negative, overflows 64 bits or does not end on a byte.</summary>
    public static long? ByteCount(this SafetensorsDtype dtype, ReadOnlySpan<long> shape)
    {
        UInt128 elements = 1;
        foreach (var side in shape)
        {
            if (side < 0) return null;
            elements *= (UInt128)side;
            if (elements > long.MaxValue) return null;
        }
        var bits = elements * (UInt128)dtype.Bits();
        return bits % 8 != 0 || bits / 8 > long.MaxValue ? null : (long)(bits / 8);
    }
}
