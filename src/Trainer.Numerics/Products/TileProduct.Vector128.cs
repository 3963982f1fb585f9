using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Products;

public static unsafe partial class TileProduct
{
    // Written for arm64, which has 32 registers: 16 sums, four of b and one of a at a time. So the tile is made of 4 x 16 pieces here too.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RunVector128(float* a, float* b, long depth, float* c, long stride, bool add)
    {
        for (var i = 0; i < Rows; i += 4)
        {
            for (var j = 0; j < Columns; j += 16) Piece128(a + i, b + j, depth, c + i * stride + j, stride, add);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Piece128(float* a, float* b, long depth, float* c, long stride, bool add)
    {
        Vector128<float> c00 = default, c01 = default, c02 = default, c03 = default;
        Vector128<float> c10 = default, c11 = default, c12 = default, c13 = default;
        Vector128<float> c20 = default, c21 = default, c22 = default, c23 = default;
        Vector128<float> c30 = default, c31 = default, c32 = default, c33 = default;
        for (long p = 0; p < depth; p++)
        {
            Vector128<float> b0 = Vector128.Load(b), b1 = Vector128.Load(b + 4), b2 = Vector128.Load(b + 8), b3 = Vector128.Load(b + 12);
            var a0 = Vector128.Create(a[0]);
            c00 = MultiplyAdd128(a0, b0, c00);
            c01 = MultiplyAdd128(a0, b1, c01);
            c02 = MultiplyAdd128(a0, b2, c02);
            c03 = MultiplyAdd128(a0, b3, c03);
            var a1 = Vector128.Create(a[1]);
            c10 = MultiplyAdd128(a1, b0, c10);
            c11 = MultiplyAdd128(a1, b1, c11);
            c12 = MultiplyAdd128(a1, b2, c12);
            c13 = MultiplyAdd128(a1, b3, c13);
            var a2 = Vector128.Create(a[2]);
            c20 = MultiplyAdd128(a2, b0, c20);
            c21 = MultiplyAdd128(a2, b1, c21);
            c22 = MultiplyAdd128(a2, b2, c22);
            c23 = MultiplyAdd128(a2, b3, c23);
            var a3 = Vector128.Create(a[3]);
            c30 = MultiplyAdd128(a3, b0, c30);
            c31 = MultiplyAdd128(a3, b1, c31);
            c32 = MultiplyAdd128(a3, b2, c32);
            c33 = MultiplyAdd128(a3, b3, c33);
            a += Rows;
            b += Columns;
        }
        Put128(c00, c01, c02, c03, c, add);
        Put128(c10, c11, c12, c13, c + 1 * stride, add);
        Put128(c20, c21, c22, c23, c + 2 * stride, add);
        Put128(c30, c31, c32, c33, c + 3 * stride, add);
    }

    // One rounding, as at every width; Vector128.MultiplyAddEstimate might round twice.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> MultiplyAdd128(Vector128<float> a, Vector128<float> b, Vector128<float> sum) =>
        AdvSimd.IsSupported ? AdvSimd.FusedMultiplyAdd(sum, a, b) : Fma.MultiplyAdd(a, b, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put128(Vector128<float> first, Vector128<float> second, Vector128<float> third, Vector128<float> fourth, float* c, bool add)
    {
        if (add)
        {
            first += Vector128.Load(c);
            second += Vector128.Load(c + 4);
            third += Vector128.Load(c + 8);
            fourth += Vector128.Load(c + 12);
        }
        first.Store(c);
        second.Store(c + 4);
        third.Store(c + 8);
        fourth.Store(c + 12);
    }
}
