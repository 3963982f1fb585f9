using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Products;

/// <summary>One tile of a matrix product, 8 rows by 32 columns, from operands packed so that every load is next to the one before.</summary>
/// <remarks>
/// <code>c[i, j] = sum over p of a[p, i] b[p, j], or that added to c        a (depth, 8), b (depth, 32)</code>
/// Each element is one chain of fused multiply-adds in the order of p, at every width and for every neighbour it is computed with:
/// a product's bits do not depend on the width, the number of threads or the number of rows.
/// Compiled with all optimizations at once: the first steps of a run would take their time in slow code.
/// After the register-tiled kernels of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): 16 accumulators of 16 lanes,
/// two loads and eight broadcasts for sixteen multiply-adds.
/// </remarks>
public static unsafe partial class TileProduct
{
    /// <summary>Rows of a tile.</summary>
    public const int Rows = 8;

    /// <summary>Columns of a tile.</summary>
    public const int Columns = 32;

    /// <summary>Whether this machine has a fast tile: fused multiply-add on 256 bits or more, or on arm64's 128 with its many registers.</summary>
    public static bool IsFast => Kernels.Width >= KernelWidth.Vector256 || (Kernels.Width == KernelWidth.Vector128 && AdvSimd.IsSupported);

    /// <summary>Computes one tile.</summary>
    /// <param name="a">Packed rows, (depth, 8).</param>
    /// <param name="b">Packed columns, (depth, 32).</param>
    /// <param name="depth">Length of the sums.</param>
    /// <param name="c">The tile's first element.</param>
    /// <param name="stride">Elements from one row of c to the next.</param>
    /// <param name="add">Whether to add to c rather than to write it.</param>
    public static void Run(float* a, float* b, long depth, float* c, long stride, bool add) => Run(Kernels.Width, a, b, depth, c, stride, add);

    internal static void Run(KernelWidth width, float* a, float* b, long depth, float* c, long stride, bool add)
    {
        switch (width)
        {
            case KernelWidth.Vector512: RunVector512(a, b, depth, c, stride, add); break;
            case KernelWidth.Vector256: RunVector256(a, b, depth, c, stride, add); break;
            // 128 bits without fused multiply-add would round twice.
            case KernelWidth.Vector128 when AdvSimd.IsSupported || Fma.IsSupported: RunVector128(a, b, depth, c, stride, add); break;
            default: RunScalar(a, b, depth, c, stride, add); break;
        }
    }

    private static void RunScalar(float* a, float* b, long depth, float* c, long stride, bool add)
    {
        for (var i = 0; i < Rows; i++)
        {
            for (var j = 0; j < Columns; j++)
            {
                var sum = 0f;
                for (long p = 0; p < depth; p++) sum = MathF.FusedMultiplyAdd(a[p * Rows + i], b[p * Columns + j], sum);
                c[i * stride + j] = add ? sum + c[i * stride + j] : sum;
            }
        }
    }
}
