using Trainer.Numerics;
using Trainer.Numerics.Dot;
using Trainer.Numerics.Half;
using Trainer.Numerics.Int8;
using Trainer.Numerics.Nf4;

namespace Trainer.Ground.Tests.Numerics;

public sealed unsafe class DotTests
{
    // Rows that do not fill a group of four, columns with a tail after sixteen lanes (but whole blocks for the 4-bit codes).
    private const int Rows = 7, Columns = 16 * 5 + 11, Blocked = 320, Inputs = 7;

    public static TheoryData<KernelWidth> Widths => new(KernelWidth.Vector128, KernelWidth.Vector256, KernelWidth.Vector512);

    [SkippableTheory, MemberData(nameof(Widths))]
    public void Every_width_gives_the_bits_of_the_scalar_specification(KernelWidth width)
    {
        Skip.IfNot(Kernels.IsSupported(width), $"this processor has no {width}");
        foreach (var form in Enum.GetValues<Form>())
            foreach (var columns in (int[])[Columns, Blocked])
                Assert.Equal(Product(form, KernelWidth.Scalar, Rows, out _, out _, columns), Product(form, width, Rows, out _, out _, columns));
    }

    [Theory, InlineData(Form.Float), InlineData(Form.BFloat16), InlineData(Form.Int8), InlineData(Form.Nf4), InlineData(Form.DoubleQuantized)]
    public void A_product_is_that_of_the_matrix_written_out(Form form)
    {
        var y = Product(form, Kernels.Width, Rows, out var weight, out var x);
        var columns = weight.Length / Rows;
        for (var t = 0; t < Inputs; t++)
        {
            for (var row = 0; row < Rows; row++)
            {
                double exact = 0, size = 0;
                for (var i = 0; i < columns; i++)
                {
                    var product = (double)weight[row * columns + i] * x[t * columns + i];
                    (exact, size) = (exact + product, size + Math.Abs(product));
                }
                Assert.Equal(exact, y[t * (Rows + 2) + row], size * 1e-6);
            }
            // What lies between the rows of y is somebody else's.
            Assert.Equal(-7f, y[t * (Rows + 2) + Rows]);
        }
    }

    [Theory, InlineData(Form.BFloat16), InlineData(Form.Nf4)]
    public void A_row_has_the_same_bits_however_the_rows_are_split(Form form)
    {
        var whole = Product(form, Kernels.Width, Rows, out _, out _);
        for (var cut = 1; cut < Rows; cut++) Assert.Equal(whole, Product(form, Kernels.Width, cut, out _, out _));
    }

    [Fact]
    public void A_weighted_sum_of_rows_has_the_same_bits_at_every_width_and_is_that_of_its_columns()
    {
        const int n = 64 + 16 + 5, count = 9, pitch = n + 3;
        float[] rows = ElementwiseTests.Values(1, count * pitch), weights = ElementwiseTests.Values(2, count), expected = new float[n], sum = new float[n];
        fixed (float* r = rows, w = weights, e = expected, s = sum)
        {
            RowSum.Run(KernelWidth.Scalar, r, pitch, w, count, e, n);
            foreach (var width in Enum.GetValues<KernelWidth>().Where(Kernels.IsSupported))
            {
                RowSum.Run(width, r, pitch, w, count, s, n);
                Assert.Equal(expected, sum);
            }
        }
        for (var i = 0; i < n; i++) Assert.Equal(Enumerable.Range(0, count).Sum(row => (double)weights[row] * rows[row * pitch + i]), sum[i], 1e-5);
    }

    [Fact]
    public void Rows_that_begin_inside_a_block_are_refused()
    {
        Assert.False(Nf4Dot.Takes(172));
        Assert.Throws<ArgumentException>(() => Nf4Dot.Run(default, 172, null, 1, null, 1, 0, 1));
    }

    public enum Form
    {
        Float,
        BFloat16,
        Int8,
        Nf4,
        DoubleQuantized,
    }

    // Rows [0, cut) and [cut, Rows) one after the other; y in rows of Rows + 2, filled with -7 before.
    private static float[] Product(Form form, KernelWidth width, int cut, out float[] weight, out float[] x, int columns = Columns)
    {
        if (form >= Form.Nf4) columns = Blocked;
        weight = ElementwiseTests.Values(1, Rows * columns);
        x = ElementwiseTests.Values(2, Inputs * columns);
        float[] y = new float[Inputs * (Rows + 2)], arranged = new float[x.Length], scales = new float[Rows];
        Array.Fill(y, -7f);
        var bits = new ushort[weight.Length];
        var codes = new sbyte[weight.Length];
        var packed = new byte[weight.Length / 2];
        float[] absmax = new float[weight.Length / 64], nested = new float[1];
        var absmaxCodes = new byte[absmax.Length];
        fixed (float* w = weight, input = x, output = y, s = scales, a = arranged, most = absmax, inner = nested, map = DynamicMap.Values)
        fixed (ushort* b = bits)
        fixed (sbyte* c = codes)
        fixed (byte* p = packed, ac = absmaxCodes)
        {
            Nf4Quantizer.Quantize(w, p, most, 0, weight.Length);
            var source = Nf4Source.Plain(p, most, weight.Length);
            if (form == Form.DoubleQuantized) source = Nf4Source.Nested(p, ac, inner, map, NestedAbsmax.Quantize(absmax, absmaxCodes, nested), weight.Length);
            if (form >= Form.Nf4) Nf4Dequantizer.ToFloat(source, w, 0, weight.Length);
            Nf4Dot.Arrange(input, a, x.Length / 32 * 32);
            BFloat16Bits.FromFloat(w, b, weight.Length);
            if (form == Form.BFloat16) BFloat16Bits.ToFloat(b, w, weight.Length);
            for (var row = 0; row < Rows && form == Form.Int8; row++)
            {
                s[row] = Int8Rows.Quantize(w + row * columns, c + row * columns, columns);
                Int8Rows.ToFloat(c + row * columns, s[row], w + row * columns, columns);
            }
            foreach (var (begin, end) in new[] { (0, cut), (cut, Rows) })
            {
                switch (form)
                {
                    case Form.Float: DenseDot.Run<FloatElements>(width, (byte*)w, null, columns, columns, input, Inputs, output, Rows + 2, begin, end); break;
                    case Form.BFloat16: DenseDot.Run<BFloat16Elements>(width, (byte*)b, null, columns, columns, input, Inputs, output, Rows + 2, begin, end);
                        break;
                    case Form.Int8: DenseDot.Run<Int8Elements>(width, (byte*)c, s, columns, columns, input, Inputs, output, Rows + 2, begin, end); break;
                    default: Nf4Dot.Run(width, source, columns, a, Inputs, output, Rows + 2, begin, end); break;
                }
            }
        }
        return y;
    }
}
