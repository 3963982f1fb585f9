using Trainer.Numerics;
using Trainer.Numerics.Nf4;

namespace Trainer.Ground.Tests.Numerics;

public sealed unsafe class Nf4Tests
{
    private static readonly Nf4Goldens Goldens = new();

    public static TheoryData<string> Cases => Nf4Goldens.Cases;

    public static TheoryData<KernelWidth> Widths => new(KernelWidth.Vector128, KernelWidth.Vector256, KernelWidth.Vector512);

    [Theory, MemberData(nameof(Cases))]
    public void Packed_bytes_and_absmax_equal_the_goldens(string name)
    {
        var input = Goldens.Read<float>(name + ".input");
        var packed = new byte[Nf4Codebook.PackedBytes(input.Length)];
        var absmax = new float[Nf4Codebook.Blocks(input.Length)];
        Nf4Quantizer.Quantize(input, packed, absmax);
        Assert.Equal(Goldens.Read<byte>(name + ".packed"), packed);
        Assert.Equal(Goldens.Read<float>(name + ".absmax"), absmax);
    }

    [Theory, MemberData(nameof(Cases)), InlineData("g")]
    public void Double_quantization_gives_the_goldens_codes_offset_and_absmax(string name)
    {
        var absmax = Goldens.Read<float>(name + ".absmax");
        var codes = new byte[absmax.Length];
        var nested = new float[(absmax.Length + 255) / 256];
        var offset = NestedAbsmax.Quantize(absmax, codes, nested);
        Assert.Equal(Goldens.Read<float>(name + ".nested.offset")[0], offset);
        Assert.Equal(Goldens.Read<float>(name + ".nested.nested_absmax"), nested);
        Assert.Equal(Goldens.Read<byte>(name + ".nested.absmax_codes"), codes);
        var decoded = new float[absmax.Length];
        NestedAbsmax.Dequantize(codes, nested, DynamicMap.Values, offset, decoded);
        Assert.Equal(Goldens.Read<float>(name + ".nested.absmax_dequant"), decoded);
    }

    [Theory, MemberData(nameof(Cases))]
    public void Dequantized_values_equal_the_goldens_in_both_types_and_both_absmax_forms(string name)
    {
        if (!Goldens.Has(name + ".dequant")) return;
        var expected = Goldens.Read<float>(name + ".dequant");
        var packed = Goldens.Read<byte>(name + ".packed");
        var absmax = Goldens.Read<float>(name + ".absmax");
        var codes = Goldens.Read<byte>(name + ".nested.absmax_codes");
        var nested = Goldens.Read<float>(name + ".nested.nested_absmax");
        var offset = Goldens.Read<float>(name + ".nested.offset")[0];
        var output = new float[expected.Length];
        var bits = new ushort[expected.Length];
        fixed (byte* p = packed, c = codes)
        fixed (float* a = absmax, n = nested, map = DynamicMap.Values, o = output)
        fixed (ushort* b = bits)
        {
            var plain = Nf4Source.Plain(p, a, expected.Length);
            Nf4Dequantizer.ToFloat(plain, o, 0, expected.Length);
            Assert.Equal(expected, output);
            Nf4Dequantizer.ToBFloat16(plain, b, 0, expected.Length);
            Assert.Equal(Goldens.Read<ushort>(name + ".dequant_bf16"), bits);
            var doubled = Nf4Source.Nested(p, c, n, map, offset, expected.Length);
            Nf4Dequantizer.ToFloat(doubled, o, 0, expected.Length);
            Assert.Equal(Goldens.Read<float>(name + ".nested.dequant"), output);
            Nf4Dequantizer.ToBFloat16(doubled, b, 0, expected.Length);
            Assert.Equal(Goldens.Read<ushort>(name + ".nested.dequant_bf16"), bits);
        }
    }

    [SkippableTheory, MemberData(nameof(Widths))]
    public void Every_width_gives_the_bits_of_the_scalar_specification(KernelWidth width)
    {
        Skip.IfNot(Kernels.IsSupported(width), $"this processor has no {width}");
        const int count = 64 * 501 + 29;
        var random = new Random(7);
        var input = new float[count];
        for (var i = 0; i < count; i++) input[i] = (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-6, 3)));
        // Values that fall on thresholds exactly when absmax is 1, and oddities.
        Array.Clear(input, 64, 64);
        for (var i = 0; i < 15; i++) input[64 + i] = Nf4Codebook.Thresholds[i];
        input[64 + 20] = 1f;
        for (var i = 21; i < 64; i++) input[64 + i] = Nf4Codebook.Values[i % 16];
        Array.Clear(input, 128, 64);
        input[192] = float.NaN;
        Array.Fill(input, 1e-42f, 256, 64);
        var (packed, absmax, floats, bits) = Run(width, input);
        var (packed0, absmax0, floats0, bits0) = Run(KernelWidth.Scalar, input);
        Assert.Equal(packed0, packed);
        Assert.Equal(absmax0, absmax);
        Assert.Equal(floats0, floats);
        Assert.Equal(bits0, bits);
        for (var i = 0; i < 15; i++) Assert.Equal(i, (i % 2 == 0 ? packed[32 + i / 2] >> 4 : packed[32 + i / 2] & 15));
    }

    [Fact]
    public void A_range_that_starts_at_a_block_gives_the_same_bytes_as_the_whole()
    {
        var input = new float[1000];
        for (var i = 0; i < input.Length; i++) input[i] = MathF.Sin(i * 0.37f);
        var whole = new byte[500];
        var wholeAbsmax = new float[16];
        Nf4Quantizer.Quantize(input, whole, wholeAbsmax);
        var parts = new byte[500];
        var partsAbsmax = new float[16];
        var values = new float[1000];
        var panel = new float[300];
        fixed (float* x = input, a = partsAbsmax, o = values, pan = panel)
        fixed (byte* p = parts)
        {
            Nf4Quantizer.Quantize(x + 320, p, a, 320, 1000);
            Nf4Quantizer.Quantize(x, p, a, 0, 320);
            var source = Nf4Source.Plain(p, a, 1000);
            Nf4Dequantizer.ToFloat(source, o, 0, 1000);
            Nf4Dequantizer.ToFloat(source, pan, 640, 940);
            Assert.Throws<ArgumentException>(() => Nf4Quantizer.Quantize(null, null, null, 32, 64));
        }
        Assert.Equal(whole, parts);
        Assert.Equal(wholeAbsmax, partsAbsmax);
        Assert.Equal(values[640..940], panel);
    }

    private static (byte[] Packed, float[] Absmax, float[] Values, ushort[] Bits) Run(KernelWidth width, float[] input)
    {
        var packed = new byte[Nf4Codebook.PackedBytes(input.Length)];
        var absmax = new float[Nf4Codebook.Blocks(input.Length)];
        var output = new float[input.Length];
        var bits = new ushort[input.Length];
        fixed (byte* p = packed)
        fixed (float* x = input, a = absmax, o = output)
        fixed (ushort* b = bits)
        {
            Nf4Quantizer.Quantize(width, x, p, a, 0, input.Length);
            Nf4Dequantizer.ToFloat(width, Nf4Source.Plain(p, a, input.Length), o, 0, input.Length);
            Nf4Dequantizer.ToBFloat16(width, Nf4Source.Plain(p, a, input.Length), b, 0, input.Length);
        }
        return (packed, absmax, output, bits);
    }
}
