using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Dot;

/// <summary>sum = w_0 row_0 + w_1 row_1 + ..., what one query's attention makes of the values: rows are read once, the sum stays in registers.</summary>
/// <remarks>Each column is one chain of fused additions in the order of the rows, so its bits do not depend on the width.</remarks>
public static unsafe class RowSum
{
    /// <summary>Adds up weighted rows.</summary>
    /// <param name="rows">Rows of n values.</param>
    /// <param name="pitch">Values from one row to the next.</param>
    /// <param name="weights">(count).</param>
    /// <param name="count">Rows.</param>
    /// <param name="sum">(n), overwritten.</param>
    /// <param name="n">Columns.</param>
    public static void Run(float* rows, long pitch, float* weights, int count, float* sum, int n) => Run(Kernels.Width, rows, pitch, weights, count, sum, n);

    internal static void Run(KernelWidth width, float* rows, long pitch, float* weights, int count, float* sum, int n)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Lanes<Lanes512>(rows, pitch, weights, count, sum, n); break;
            case KernelWidth.Vector256: Lanes<Lanes256>(rows, pitch, weights, count, sum, n); break;
            case KernelWidth.Vector128: Lanes<Lanes128>(rows, pitch, weights, count, sum, n); break;
            default: Scalar(rows, pitch, weights, count, sum, 0, n); break;
        }
    }

    /// <summary>The specification, for columns from <paramref name="i"/> on.</summary>
    private static void Scalar(float* rows, long pitch, float* weights, int count, float* sum, int i, int n)
    {
        for (; i < n; i++)
        {
            sum[i] = 0f;
            for (var row = 0; row < count; row++) sum[i] = MathF.FusedMultiplyAdd(rows[row * pitch + i], weights[row], sum[i]);
        }
    }

    private static void Lanes<T>(float* rows, long pitch, float* weights, int count, float* sum, int n) where T : struct, ILanes<T>
    {
        var i = 0;
        // Four chains at a time: one alone would wait for itself.
        for (; i + 64 <= n; i += 64)
        {
            T a = T.Create(0f), b = a, c = a, d = a;
            var row = rows + i;
            for (var r = 0; r < count; r++, row += pitch)
            {
                var weight = T.Create(weights[r]);
                a = T.Fused(T.Load(row), weight, a);
                b = T.Fused(T.Load(row + 16), weight, b);
                c = T.Fused(T.Load(row + 32), weight, c);
                d = T.Fused(T.Load(row + 48), weight, d);
            }
            a.Store(sum + i);
            b.Store(sum + i + 16);
            c.Store(sum + i + 32);
            d.Store(sum + i + 48);
        }
        for (; i + 16 <= n; i += 16)
        {
            var a = T.Create(0f);
            for (var r = 0; r < count; r++) a = T.Fused(T.Load(rows + r * pitch + i), T.Create(weights[r]), a);
            a.Store(sum + i);
        }
        Scalar(rows, pitch, weights, count, sum, i, n);
    }
}
