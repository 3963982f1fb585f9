using TorchSharp;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics.Half;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed unsafe class NarrowProductTests
{
    private const int Tokens = 549, Wide = 192, High = 320;

    public static TheoryData<string, string> Cases
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var compute in (string[])["bfloat16", "int8"])
                foreach (var form in (string[])["nf4", "int8", "float32", "bfloat16", "float16"]) data.Add(compute, form);
            return data;
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void A_product_of_panels_is_the_float32_product_but_for_rounding(string compute, string form)
    {
        using var weight = Weight(form);
        Assert.Equal(form, weight.Form.ToString().ToLowerInvariant());
        Assert.InRange(Error(compute, weight, weight, forward: true), 1e-5, Gate(compute));
        Assert.InRange(Error(compute, weight, weight, forward: false), 1e-5, Gate(compute));
    }

    [Theory, InlineData("bfloat16"), InlineData("int8")]
    public void The_gate_is_narrow_enough_to_see_one_wrong_row_of_the_matrix(string compute)
    {
        using var weight = Weight("float32");
        using var other = Weight("float32");
        // The control: one of 320 rows negated.
        var row = TorchMemory.Pointer(other.Resident!) + 100 * Wide;
        for (var i = 0; i < Wide; i++) row[i] = -row[i];
        Assert.True(Error(compute, weight, other, forward: true) > Gate(compute));
        Assert.True(Error(compute, weight, other, forward: false) > Gate(compute));
    }

    [Theory, InlineData("nf4"), InlineData("int8"), InlineData("float32"), InlineData("bfloat16"), InlineData("float16")]
    public void A_matrix_written_out_in_bfloat16_is_its_float32_form_rounded_once(string form)
    {
        // 40 columns: rows start inside blocks of 64.
        using var weight = Weight(form, rows: 50, columns: 40);
        foreach (var (begin, count) in new[] { (0, 50), (3, 1), (7, 20) })
        {
            var exact = new float[count * 40];
            ushort[] expected = new ushort[count * 40], actual = new ushort[count * 40];
            fixed (float* from = exact)
            fixed (ushort* to = expected, written = actual)
            {
                weight.Materialize(begin, count, from);
                BFloat16Bits.FromFloat(from, to, exact.Length);
                weight.MaterializeBFloat16(begin, count, written);
            }
            Assert.Equal(expected, actual);
        }
    }

    [Fact]
    public void Rows_of_any_number_come_in_few_sizes_and_none_is_lost()
    {
        var sizes = new HashSet<long>();
        for (long rows = 1; rows <= 2000; rows++)
        {
            var padded = NarrowGemm.PaddedRows(rows);
            Assert.InRange(padded, rows, rows + 63);
            Assert.True(padded >= NarrowGemm.PaddedRows(rows - 1));
            if (padded >= 512) sizes.Add(512);
            if (padded % 512 > 0) sizes.Add(padded % 512);
        }
        Assert.Equal(11, sizes.Count);
    }

    private static double Gate(string compute) => compute == "int8" ? 0.02 : 0.006;

    /// <summary>Relative RMS difference of a narrow product with one matrix and the float32 product with another, at a stride, a factor and an
    /// addend.</summary>
    private static double Error(string compute, IFrozenWeight narrow, IFrozenWeight exact, bool forward)
    {
        const int Stride = High + 5;
        // Panels of 128 rows: the last has 64.
        var panels = new PanelPlan(1);
        IFrozenProduct[] products = [new BlasProduct(panels), compute == "int8" ? new Int8Product(panels) : new BFloat16Product(panels)];
        IFrozenWeight[] weights = [exact, narrow];
        var matrix = MatrixShape.Of(narrow);
        List<PassBuffer> buffers = [.. BlasProduct.Buffers(Tokens, [MatrixShape.Of(exact)], 1),
            .. compute == "int8" ? Int8Product.Buffers(Tokens, [matrix], 1) : BFloat16Product.Buffers(Tokens, [matrix], 1)];
        using var arena = new Arena(buffers.Sum(buffer => buffer.Bytes));
        var room = ProductRoom.Cut(arena, buffers, Tokens, torch.get_num_threads());
        var input = Values(Tokens * Stride, 3);
        float[][] results = [Values(Tokens * Stride, 4), Values(Tokens * Stride, 4)];
        for (var i = 0; i < 2; i++)
        {
            fixed (float* x = input, y = results[i])
            {
                if (forward) products[i].Forward(room, weights[i], x, Tokens, y, Stride, 0.5f);
                else products[i].InputGradient(room, weights[i], x, Stride, Tokens, y, true, 0.5f);
            }
        }
        var start = Values(Tokens * Stride, 4);
        double error = 0, all = 0;
        for (var i = 0; i < start.Length; i++)
        {
            error += Math.Pow(results[1][i] - results[0][i], 2);
            // The addend is known to both: the product alone is the measure.
            all += Math.Pow(results[0][i] - start[i], 2);
        }
        return Math.Sqrt(error / all);
    }

    private static IFrozenWeight Weight(string form, int rows = High, int columns = Wide)
    {
        var dense = torch.tensor(Values(rows * columns, 5), rows, columns);
        switch (form)
        {
            case "bfloat16": return new DenseWeight(dense.to(torch.ScalarType.BFloat16));
            case "float16": return new DenseWeight(dense.to(torch.ScalarType.Float16));
            case "float32": return new DenseWeight(dense);
        }
        using var whole = new DenseWeight(dense);
        return form == "nf4" ? Nf4Weight.Quantize(whole, doubleQuantize: true) : Int8Weight.Quantize(whole);
    }

    private static float[] Values(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5))];
    }
}
