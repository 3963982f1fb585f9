using System.Runtime.Intrinsics;

namespace Trainer.Numerics.Half;

/// <summary>IEEE half precision as its 16 bits.</summary>
public static unsafe class Float16Bits
{
    /// <summary>The exact fp32 value of each half; subnormals included.</summary>
    /// <param name="input">Half bits.</param>
    /// <param name="output">fp32 values.</param>
    /// <param name="count">How many.</param>
    public static void ToFloat(ushort* input, float* output, long count) => ToFloat(Kernels.Width, input, output, count);

    /// <summary>Rounds to nearest even; overflow becomes infinity.</summary>
    /// <param name="input">fp32 values.</param>
    /// <param name="output">Half bits.</param>
    /// <param name="count">How many.</param>
    public static void FromFloat(float* input, ushort* output, long count)
    {
        for (long i = 0; i < count; i++) output[i] = BitConverter.HalfToUInt16Bits((System.Half)input[i]);
    }

    internal static void ToFloat(KernelWidth width, ushort* input, float* output, long count)
    {
        long i = 0;
        if (width != KernelWidth.Scalar)
        {
            // Exponent and mantissa moved into place, then rescaled by 2^112: exact for normal and subnormal halves. Infinity and NaN take an all-ones
            // exponent.
            var scale = Vector256.Create(BitConverter.UInt32BitsToSingle(0x77800000u));
            for (; i + 8 <= count; i += 8)
            {
                var (low, high) = Vector128.Widen(Vector128.Load(input + i));
                var bits = Vector256.Create(low, high);
                var magnitude = ((bits & Vector256.Create(0x7FFFu)) << 13).AsSingle() * scale;
                var special = Vector256.GreaterThanOrEqual(bits & Vector256.Create(0x7C00u), Vector256.Create(0x7C00u));
                var result = magnitude.AsUInt32() | (special & Vector256.Create(0x7F800000u)) | ((bits & Vector256.Create(0x8000u)) << 16);
                result.AsSingle().Store(output + i);
            }
        }
        for (; i < count; i++) output[i] = (float)BitConverter.UInt16BitsToHalf(input[i]);
    }
}
