namespace Trainer.Numerics.Nf4;

/// <summary>Where the parts of one NF4 tensor lie in memory; a view that owns nothing.</summary>
public readonly unsafe struct Nf4Source
{
    private Nf4Source(byte* packed, float* absmax, byte* codes, float* nestedAbsmax, float* nestedMap, float offset, long count)
    {
        Packed = packed;
        Absmax = absmax;
        Codes = codes;
        NestedAbsmax = nestedAbsmax;
        NestedMap = nestedMap;
        Offset = offset;
        Count = count;
    }

    /// <summary>Two codes a byte, first element in the high nibble.</summary>
    public byte* Packed { get; }

    /// <summary>fp32 absmax of each block, or null under double quantization.</summary>
    public float* Absmax { get; }

    /// <summary>8-bit absmax code of each block, or null.</summary>
    public byte* Codes { get; }

    /// <summary>fp32 absmax of each 256 blocks, or null.</summary>
    public float* NestedAbsmax { get; }

    /// <summary>The 256 values of the absmax code, or null.</summary>
    public float* NestedMap { get; }

    /// <summary>Mean that was taken off the absmax values before they were coded.</summary>
    public float Offset { get; }

    /// <summary>Elements of the tensor.</summary>
    public long Count { get; }

    /// <summary>A tensor with fp32 absmax.</summary>
    /// <param name="packed">Packed codes.</param>
    /// <param name="absmax">One value a block.</param>
    /// <param name="count">Elements of the tensor.</param>
    public static Nf4Source Plain(byte* packed, float* absmax, long count) => new(packed, absmax, null, null, null, 0f, count);

    /// <summary>A tensor under double quantization.</summary>
    /// <param name="packed">Packed codes.</param>
    /// <param name="codes">One 8-bit absmax code a block.</param>
    /// <param name="nestedAbsmax">One value for 256 blocks.</param>
    /// <param name="nestedMap">256 values of the code; must outlive the view.</param>
    /// <param name="offset">Mean of the absmax values.</param>
    /// <param name="count">Elements of the tensor.</param>
    public static Nf4Source Nested(byte* packed, byte* codes, float* nestedAbsmax, float* nestedMap, float offset, long count)
        => new(packed, null, codes, nestedAbsmax, nestedMap, offset, count);

    /// <summary>The same tensor with its large parts elsewhere.</summary>
    /// <param name="packed">Packed codes.</param>
    /// <param name="scales">Absmax values, or their codes under double quantization.</param>
    public Nf4Source At(byte* packed, byte* scales)
        => Absmax != null ? Plain(packed, (float*)scales, Count) : Nested(packed, scales, NestedAbsmax, NestedMap, Offset, Count);

    /// <summary>The absmax of a block, in the rounding of the reference: product first, then the offset.</summary>
    /// <param name="block">Index of the block.</param>
    public float BlockAbsmax(long block)
    {
        if (Absmax != null) return Absmax[block];
        // Two roundings: a fused multiply-add would give other bits than the file's own writer.
        var product = NestedMap[Codes[block]] * NestedAbsmax[block / Nf4Codebook.NestedBlockSize];
        return product + Offset;
    }
}
