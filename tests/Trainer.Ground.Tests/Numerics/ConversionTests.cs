using Trainer.Numerics;
using Trainer.Numerics.Half;
using Trainer.Numerics.Int8;

namespace Trainer.Ground.Tests.Numerics;

public sealed unsafe class ConversionTests
{
    public static TheoryData<KernelWidth> Widths => new(KernelWidth.Scalar, KernelWidth.Vector128, KernelWidth.Vector256, KernelWidth.Vector512);

    [SkippableTheory, MemberData(nameof(Widths))]
    public void All_65536_halves_become_their_exact_values(KernelWidth width)
    {
        Skip.IfNot(Kernels.IsSupported(width), $"this processor has no {width}");
        var bits = Enumerable.Range(0, 65536).Select(i => (ushort)i).ToArray();
        var values = new float[65536];
        fixed (ushort* b = bits)
        fixed (float* v = values) Float16Bits.ToFloat(width, b, v, 65536);
        for (var i = 0; i < 65536; i++) Assert.Equal((float)BitConverter.UInt16BitsToHalf((ushort)i), values[i]);
    }

    [SkippableTheory, MemberData(nameof(Widths))]
    public void Bfloat16_rounds_to_nearest_even_and_comes_back_exactly(KernelWidth width)
    {
        Skip.IfNot(Kernels.IsSupported(width), $"this processor has no {width}");
        float[] input = [1f, 1.00390625f, 1.01171875f, -1.00390625f, 3.3895314e38f, 3.4028235e38f, float.NaN, float.NegativeInfinity, 1e-45f, 0f, -0f, 0.1f, 1f,
            2f, 3f, 4f, 5f];
        var bits = new ushort[input.Length];
        var back = new float[input.Length];
        fixed (float* x = input, y = back)
        fixed (ushort* b = bits)
        {
            BFloat16Bits.FromFloat(width, x, b, input.Length);
            BFloat16Bits.ToFloat(width, b, y, input.Length);
        }
        Assert.Equal([0x3F80, 0x3F80, 0x3F82, 0xBF80, 0x7F7F, 0x7F80, 0x7FC0, 0xFF80, 0x0000, 0x0000, 0x8000, 0x3DCD, 0x3F80, 0x4000, 0x4040, 0x4080, 0x40A0],
            bits.Select(b => (int)b));
        for (var i = 11; i < input.Length; i++) Assert.InRange(back[i], input[i] * 0.99f, input[i] * 1.01f);
    }

    [SkippableTheory, MemberData(nameof(Widths))]
    public void Eight_bit_rows_err_by_at_most_half_a_step(KernelWidth width)
    {
        Skip.IfNot(Kernels.IsSupported(width), $"this processor has no {width}");
        var random = new Random(1);
        var row = Enumerable.Range(0, 203).Select(_ => (float)(random.NextDouble() - 0.5)).ToArray();
        sbyte[] codes = new sbyte[203], scalarCodes = new sbyte[203];
        float[] back = new float[203], scalarBack = new float[203];
        fixed (float* x = row, y = back, z = scalarBack)
        fixed (sbyte* q = codes, s = scalarCodes)
        {
            var scale = Int8Rows.Quantize(width, x, q, 203);
            Assert.Equal(scale, Int8Rows.Quantize(KernelWidth.Scalar, x, s, 203));
            Int8Rows.ToFloat(width, q, scale, y, 203);
            Int8Rows.ToFloat(KernelWidth.Scalar, s, scale, z, 203);
            Assert.Equal(scalarCodes, codes);
            Assert.Equal(scalarBack, back);
            for (var i = 0; i < 203; i++) Assert.InRange(MathF.Abs(back[i] - row[i]), 0f, scale * 0.50001f);
            Assert.Equal(127, codes.Max(c => Math.Abs((int)c)));
        }
    }
}
