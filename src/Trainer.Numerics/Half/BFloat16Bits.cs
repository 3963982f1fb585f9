namespace Trainer.Numerics.Half;

/// <summary>bfloat16 as its 16 bits: the upper half of an fp32.</summary>
public static unsafe partial class BFloat16Bits
{
    /// <summary>Rounds to nearest even; any NaN becomes the quiet NaN 0x7FC0, as libtorch's scalar cast writes it.</summary>
    /// <param name="value">fp32 value.</param>
    public static ushort FromFloat(float value)
    {
        if (float.IsNaN(value)) return 0x7FC0;
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
    }

    /// <summary>The exact fp32 value.</summary>
    /// <param name="bits">bfloat16 bits.</param>
    public static float ToFloat(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>fp32 to bfloat16, <paramref name="count"/> values.</summary>
    /// <param name="input">fp32 values.</param>
    /// <param name="output">bfloat16 bits.</param>
    /// <param name="count">How many.</param>
    public static void FromFloat(float* input, ushort* output, long count) => FromFloat(Kernels.Width, input, output, count);

    /// <summary>bfloat16 to fp32, <paramref name="count"/> values; needs no alignment.</summary>
    /// <param name="input">bfloat16 bits.</param>
    /// <param name="output">fp32 values.</param>
    /// <param name="count">How many.</param>
    public static void ToFloat(ushort* input, float* output, long count) => ToFloat(Kernels.Width, input, output, count);
}
