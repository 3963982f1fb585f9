namespace Trainer.Checkpoints.Gguf;

/// <summary>Sizes of <see cref="GgufTensorType"/>.</summary>
public static class GgufTensorTypes
{
    /// <summary>Elements and bytes of one block; (1, size) for plain types; null for a type that the format does not know.</summary>
    public static (int Elements, int Bytes)? Block(this GgufTensorType type) => type switch
    {
        GgufTensorType.F32 or GgufTensorType.I32 => (1, 4),
        GgufTensorType.F16 or GgufTensorType.BF16 or GgufTensorType.I16 => (1, 2),
        GgufTensorType.I8 => (1, 1),
        GgufTensorType.I64 or GgufTensorType.F64 => (1, 8),
        GgufTensorType.Q4_0 or GgufTensorType.IQ4_NL => (32, 18),
        GgufTensorType.Q4_1 => (32, 20),
        GgufTensorType.Q5_0 => (32, 22),
        GgufTensorType.Q5_1 => (32, 24),
        GgufTensorType.Q8_0 => (32, 34),
        GgufTensorType.Q8_1 => (32, 36),
        GgufTensorType.MXFP4 => (32, 17),
        GgufTensorType.Q2_K => (256, 84),
        GgufTensorType.Q3_K or GgufTensorType.IQ3_S => (256, 110),
        GgufTensorType.Q4_K => (256, 144),
        GgufTensorType.Q5_K => (256, 176),
        GgufTensorType.Q6_K => (256, 210),
        GgufTensorType.Q8_K => (256, 292),
        GgufTensorType.IQ2_XXS or GgufTensorType.TQ2_0 => (256, 66),
        GgufTensorType.IQ2_XS => (256, 74),
        GgufTensorType.IQ3_XXS => (256, 98),
        GgufTensorType.IQ1_S => (256, 50),
        GgufTensorType.IQ2_S => (256, 82),
        GgufTensorType.IQ4_XS => (256, 136),
        GgufTensorType.IQ1_M => (256, 56),
        GgufTensorType.TQ1_0 => (256, 54),
        _ => null,
    };

    /// <summary>Bytes of a tensor, or null where the type is unknown, a row is no whole number of blocks, or the size overflows.</summary>
    /// <param name="type">Its type.</param>
    /// <param name="dimensions">Its sides, innermost first, as the format has them.</param>
    public static long? ByteCount(this GgufTensorType type, ReadOnlySpan<long> dimensions)
    {
        if (type.Block() is not (int elements, int bytes) || dimensions.Length == 0 || dimensions[0] % elements != 0)
            return null;
        UInt128 count = 1;
        foreach (var side in dimensions)
        {
            if (side < 1) return null;
            count *= (UInt128)side;
            if (count > long.MaxValue) return null;
        }
        var total = count / (UInt128)elements * (UInt128)bytes;
        return total > long.MaxValue ? null : (long)total;
    }
}
