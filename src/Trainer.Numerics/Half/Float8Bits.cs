namespace Trainer.Numerics.Half;

/// <summary>Eight-bit floats with 4 exponent and 3 mantissa bits (bias 7, no infinity, one NaN a sign), as their bytes.</summary>
/// <remarks>Micikevicius et al., FP8 formats for deep learning, 2022: E4M3.</remarks>
public static class Float8Bits
{
    private static readonly float[] Table = [.. Enumerable.Range(0, 256).Select(static bits => Value((byte)bits))];

    /// <summary>The exact fp32 value of each byte; 0x7F and 0xFF are NaN.</summary>
    public static ReadOnlySpan<float> E4M3 => Table;

    private static float Value(byte bits)
    {
        int exponent = (bits >> 3) & 15, mantissa = bits & 7;
        if ((bits & 0x7F) == 0x7F) return float.NaN;
        var magnitude = exponent == 0 ? mantissa * MathF.ScaleB(1, -9) : MathF.ScaleB(8 + mantissa, exponent - 10);
        return bits >= 128 ? -magnitude : magnitude;
    }
}
