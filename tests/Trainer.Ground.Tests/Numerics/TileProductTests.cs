using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Trainer.Numerics;
using Trainer.Numerics.Products;

namespace Trainer.Ground.Tests.Numerics;

public sealed unsafe class TileProductTests
{
    private const int Stride = TileProduct.Columns + 3;

    public static TheoryData<KernelWidth> Widths => new(KernelWidth.Scalar, KernelWidth.Vector128, KernelWidth.Vector256, KernelWidth.Vector512);

    [SkippableTheory, MemberData(nameof(Widths))]
    public void A_tile_is_the_product_of_its_packed_operands_with_the_same_bits_at_every_width(KernelWidth width)
    {
        Skip.IfNot(Kernels.IsSupported(width), $"this processor has no {width}");
        Skip.If(width == KernelWidth.Vector128 && !AdvSimd.IsSupported && !Fma.IsSupported,
            "this processor has no fused multiply-add, so the tile is the scalar one");
        const int depth = 77;
        float[] a = Values(depth * TileProduct.Rows, 1), b = Values(depth * TileProduct.Columns, 2);
        foreach (var add in new[] { false, true })
        {
            float[] c = Values(TileProduct.Rows * Stride, 3), expected = [.. c], before = [.. c];
            fixed (float* pa = a, pb = b, pc = c, pe = expected)
            {
                TileProduct.Run(width, pa, pb, depth, pc, Stride, add);
                TileProduct.Run(KernelWidth.Scalar, pa, pb, depth, pe, Stride, add);
            }
            Assert.Equal(expected, c);
            for (var i = 0; i < TileProduct.Rows; i++)
            {
                for (var j = 0; j < TileProduct.Columns; j++)
                {
                    double sum = add ? before[i * Stride + j] : 0;
                    for (var p = 0; p < depth; p++) sum += (double)a[p * TileProduct.Rows + i] * b[p * TileProduct.Columns + j];
                    Assert.InRange(c[i * Stride + j] - sum, -1e-5, 1e-5);
                }
                for (var j = TileProduct.Columns; j < Stride; j++) Assert.Equal(before[i * Stride + j], c[i * Stride + j]);
            }
        }
    }

    [Theory]
    [InlineData(8, 24)]
    [InlineData(8, 21)]
    [InlineData(5, 19)]
    [InlineData(0, 8)]
    public void Rows_are_packed_by_depth_with_zeros_for_missing_ones(int count, int depth)
    {
        var rows = Values(8 * 40, 4);
        var packed = Values(depth * 8, 5);
        fixed (float* from = rows, to = packed) TilePacking.Rows(from, 40, count, depth, 0.5f, to);
        for (var p = 0; p < depth; p++)
            for (var i = 0; i < 8; i++) Assert.Equal(i < count ? 0.5f * rows[i * 40 + p] : 0f, packed[p * 8 + i]);
    }

    [Theory]
    [InlineData(32)]
    [InlineData(9)]
    public void Columns_are_packed_by_depth_with_zeros_for_missing_ones(int count)
    {
        const int depth = 6;
        var rows = Values(depth * 40, 6);
        var packed = Values(depth * TileProduct.Columns, 7);
        fixed (float* from = rows, to = packed) TilePacking.Columns(from, 40, count, depth, to);
        for (var p = 0; p < depth; p++)
            for (var j = 0; j < TileProduct.Columns; j++) Assert.Equal(j < count ? rows[p * 40 + j] : 0f, packed[p * TileProduct.Columns + j]);
    }

    private static float[] Values(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 2 - 1))];
    }
}
