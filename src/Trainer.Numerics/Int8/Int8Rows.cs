using System.Runtime.Intrinsics;

namespace Trainer.Numerics.Int8;

/// <summary>8-bit weights or activations with one absmax scale a row: q = round(x * 127 / absmax), x ~ q * absmax / 127.</summary>
/// <remarks>Symmetric, to nearest even, codes -127 to 127; the scale absmax / 127 is fp32. A row of zeros has scale 0.</remarks>
public static unsafe class Int8Rows
{
    /// <summary>Quantizes one row; returns its scale.</summary>
    /// <param name="input">The row, fp32, finite.</param>
    /// <param name="codes">One byte a value.</param>
    /// <param name="count">Length of the row.</param>
    public static float Quantize(float* input, sbyte* codes, long count) => Quantize(Kernels.Width, input, codes, count);

    /// <summary>Dequantizes one row (or a part of it) to fp32.</summary>
    /// <param name="codes">Codes.</param>
    /// <param name="scale">The row's scale.</param>
    /// <param name="output">fp32 values.</param>
    /// <param name="count">How many.</param>
    public static void ToFloat(sbyte* codes, float scale, float* output, long count) => ToFloat(Kernels.Width, codes, scale, output, count);

    /// <summary>y[i] = sums[i] * (row * columns[i]): one row of an integer product back in fp32.</summary>
    /// <param name="sums">32-bit sums of code products.</param>
    /// <param name="row">Scale of the left operand's row.</param>
    /// <param name="columns">Scales of the right operand's rows.</param>
    /// <param name="output">fp32 values.</param>
    /// <param name="count">How many.</param>
    public static void Rescale(int* sums, float row, float* columns, float* output, long count) => Rescale(Kernels.Width, sums, row, columns, output, count);

    internal static float Quantize(KernelWidth width, float* input, sbyte* codes, long count)
    {
        var absmax = 0f;
        long i = 0;
        if (width != KernelWidth.Scalar)
        {
            var largest = Vector256<float>.Zero;
            for (; i + 8 <= count; i += 8)
            {
                var magnitude = Vector256.Abs(Vector256.Load(input + i));
                largest = Vector256.ConditionalSelect(Vector256.GreaterThan(magnitude, largest), magnitude, largest);
            }
            for (var lane = 0; lane < 8; lane++) if (largest[lane] > absmax) absmax = largest[lane];
        }
        for (; i < count; i++) if (MathF.Abs(input[i]) > absmax) absmax = MathF.Abs(input[i]);
        var inverse = absmax == 0f ? 0f : 127f / absmax;
        i = 0;
        if (width != KernelWidth.Scalar)
        {
            var factor = Vector256.Create(inverse);
            for (; i + 8 <= count; i += 8)
            {
                var rounded = Vector256.ConvertToInt32(Vector256.Round(Vector256.Load(input + i) * factor));
                var narrow = Vector128.Narrow(rounded.GetLower(), rounded.GetUpper());
                *(ulong*)(codes + i) = Vector128.Narrow(narrow, narrow).AsUInt64().ToScalar();
            }
        }
        for (; i < count; i++) codes[i] = (sbyte)(int)MathF.Round(input[i] * inverse);
        return absmax / 127f;
    }

    internal static void ToFloat(KernelWidth width, sbyte* codes, float scale, float* output, long count)
    {
        long i = 0;
        if (width != KernelWidth.Scalar)
        {
            var factor = Vector128.Create(scale);
            for (; i + 16 <= count; i += 16)
            {
                var (low, high) = Vector128.Widen(Vector128.Load(codes + i));
                var (a, b) = Vector128.Widen(low);
                var (c, d) = Vector128.Widen(high);
                (Vector128.ConvertToSingle(a) * factor).Store(output + i);
                (Vector128.ConvertToSingle(b) * factor).Store(output + i + 4);
                (Vector128.ConvertToSingle(c) * factor).Store(output + i + 8);
                (Vector128.ConvertToSingle(d) * factor).Store(output + i + 12);
            }
        }
        for (; i < count; i++) output[i] = codes[i] * scale;
    }

    internal static void Rescale(KernelWidth width, int* sums, float row, float* columns, float* output, long count)
    {
        long i = 0;
        if (width != KernelWidth.Scalar)
        {
            var factor = Vector256.Create(row);
            for (; i + 8 <= count; i += 8) (Vector256.ConvertToSingle(Vector256.Load(sums + i)) * (factor * Vector256.Load(columns + i))).Store(output + i);
        }
        for (; i < count; i++) output[i] = sums[i] * (row * columns[i]);
    }
}
