using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Products;

public static unsafe partial class TileProduct
{
    // Sixteen registers hold eight sums, so the tile is made of 4 x 16 pieces.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RunVector256(float* a, float* b, long depth, float* c, long stride, bool add)
    {
        for (var i = 0; i < Rows; i += 4)
        {
            for (var j = 0; j < Columns; j += 16) Piece256(a + i, b + j, depth, c + i * stride + j, stride, add);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Piece256(float* a, float* b, long depth, float* c, long stride, bool add)
    {
        Vector256<float> c00 = default, c01 = default;
        Vector256<float> c10 = default, c11 = default;
        Vector256<float> c20 = default, c21 = default;
        Vector256<float> c30 = default, c31 = default;
        for (long p = 0; p < depth; p++)
        {
            Vector256<float> b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8);
            var a0 = Vector256.Create(a[0]);
            c00 = Fma.MultiplyAdd(a0, b0, c00);
            c01 = Fma.MultiplyAdd(a0, b1, c01);
            var a1 = Vector256.Create(a[1]);
            c10 = Fma.MultiplyAdd(a1, b0, c10);
            c11 = Fma.MultiplyAdd(a1, b1, c11);
            var a2 = Vector256.Create(a[2]);
            c20 = Fma.MultiplyAdd(a2, b0, c20);
            c21 = Fma.MultiplyAdd(a2, b1, c21);
            var a3 = Vector256.Create(a[3]);
            c30 = Fma.MultiplyAdd(a3, b0, c30);
            c31 = Fma.MultiplyAdd(a3, b1, c31);
            a += Rows;
            b += Columns;
        }
        Put256(c00, c01, c, add);
        Put256(c10, c11, c + 1 * stride, add);
        Put256(c20, c21, c + 2 * stride, add);
        Put256(c30, c31, c + 3 * stride, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put256(Vector256<float> low, Vector256<float> high, float* c, bool add)
    {
        if (add)
        {
            low += Vector256.Load(c);
            high += Vector256.Load(c + 8);
        }
        low.Store(c);
        high.Store(c + 8);
    }
}
