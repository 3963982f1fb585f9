using TorchSharp;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Tests.Fast;

public sealed unsafe class TiledProductTests
{
    public static TheoryData<string, int, int, int> Cases
    {
        get
        {
            var data = new TheoryData<string, int, int, int>();
            foreach (var form in new[] { "float32", "bfloat16", "float16", "int8", "nf4", "nf4 double" })
            {
                data.Add(form, 8, 64, 32);
                data.Add(form, 1, 48, 40);
                data.Add(form, 13, 600, 333);
                data.Add(form, 21, 1100, 70);
                data.Add(form, 40, 36, 1030);
            }
            data.Add("nf4 double", 200, 768, 4200);
            data.Add("bfloat16", 1024, 256, 6150);
            return data;
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void Both_directions_equal_the_product_with_the_matrix_written_out(string form, int rows, int wide, int high)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(rows + wide + high);
        using var weight = Weight(form, wide, high);
        var w = new float[high * wide];
        ((IFrozenWeight)weight).Materialize(0, high, w);
        var matrix = tensor(w, high, wide).to(ScalarType.Float64);
        Tensor x = randn(rows, wide), dy = randn(rows, high), before = randn(rows, wide);
        using var arena = new Arena(16 << 20);
        var product = new TiledProduct(new PanelPlan());
        var room = ProductRoom.Cut(arena, TiledProduct.Buffers(rows, 2), rows, 2);
        float[] y = new float[rows * (high + 3)], dx = [.. before.data<float>()];
        fixed (float* py = y, px = x.data<float>().ToArray()) product.Forward(room, weight, px, rows, py, high + 3, 0.5f);
        fixed (float* pdx = dx, pdy = dy.data<float>().ToArray()) product.InputGradient(room, weight, pdy, high, rows, pdx, true, 2f);
        Close(x.to(ScalarType.Float64).matmul(matrix.t()).mul(0.5), tensor(y, rows, high + 3)[.., ..high]);
        Close(dy.to(ScalarType.Float64).matmul(matrix).mul(2) + before, tensor(dx, rows, wide));
    }

    [Fact]
    public void A_rows_product_has_the_same_bits_whatever_is_computed_beside_it_and_on_however_many_threads()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(5);
        const int wide = 1216, high = 448, rows = 43;
        using var weight = Weight("nf4 double", wide, high);
        var x = randn(rows, wide).data<float>().ToArray();
        using var arena = new Arena(16 << 20);
        var product = new TiledProduct(new PanelPlan());
        float[] all = new float[rows * high], some = new float[9 * high];
        fixed (float* px = x, pAll = all, pSome = some)
        {
            product.Forward(ProductRoom.Cut(arena, TiledProduct.Buffers(rows, 2), rows, 2), weight, px, rows, pAll, high, 1f);
            product.Forward(ProductRoom.Cut(arena, TiledProduct.Buffers(rows, 1), rows, 1), weight, px + 11 * wide, 9, pSome, high, 1f);
        }
        Assert.Equal(all[(11 * high)..(20 * high)], some);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(64)]
    public void Rows_are_cut_too_where_columns_do_not_feed_all_threads_and_the_bits_stay(int threads)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(6);
        const int wide = 520, high = 130, rows = 301;
        using var weight = Weight("nf4 double", wide, high);
        var (x, dy) = (randn(rows, wide).data<float>().ToArray(), randn(rows, high).data<float>().ToArray());
        using var arena = new Arena(64 << 20);
        var product = new TiledProduct(new PanelPlan());
        (float[], float[]) Run(int count)
        {
            float[] forward = new float[rows * high], back = new float[rows * wide];
            fixed (float* px = x, pdy = dy, pForward = forward, pBack = back)
            {
                var room = ProductRoom.Cut(arena, TiledProduct.Buffers(rows, count), rows, count);
                product.Forward(room, weight, px, rows, pForward, high, 1f);
                product.InputGradient(room, weight, pdy, high, rows, pBack, false, 1f);
            }
            return (forward, back);
        }
        var (alone, many) = (Run(1), Run(threads));
        Assert.Equal(alone.Item1, many.Item1);
        Assert.Equal(alone.Item2, many.Item2);
    }

    [Theory]
    // Enough columns: rows stay whole. k_proj of a 1B model has 8 chunks for 64 threads; few rows are not worth writing a chunk out anew.
    [InlineData(32, 2048, 16, 1)]
    [InlineData(8, 512, 64, 8)]
    [InlineData(8, 8, 64, 1)]
    public void Rows_are_cut_into_as_many_parts_as_threads_need(long chunks, long rows, int threads, long parts)
    => Assert.Equal(parts, TiledProduct.RowParts(chunks, rows, threads));

    private static IFrozenWeight Weight(string form, long wide, long high)
    {
        var values = randn(high, wide);
        return form switch
        {
            "float32" => new DenseWeight(values.DetachFromDisposeScope()),
            "bfloat16" => new DenseWeight(values.to(ScalarType.BFloat16).DetachFromDisposeScope()),
            "float16" => new DenseWeight(values.to(ScalarType.Float16).DetachFromDisposeScope()),
            "int8" => Int8Weight.Quantize(new DenseWeight(values)),
            _ => Nf4Weight.Quantize(new DenseWeight(values), form == "nf4 double"),
        };
    }

    private static void Close(Tensor expected, Tensor actual)
    {
        var error = (expected - actual).abs().max().ToDouble();
        Assert.True(error < 2e-6 * expected.abs().max().ToDouble() + 1e-6, $"off by {error}");
    }
}
