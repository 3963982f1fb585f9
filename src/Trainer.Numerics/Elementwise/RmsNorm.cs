using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

/// <summary>Root-mean-square normalization of rows (arXiv 1910.07467), its fusion with the residual add, and its gradients.</summary>
/// <remarks>
/// <code>
/// r = 1 / sqrt(mean(x^2) + eps);  y = x r w          (w is 1 + weight for Gemma: <c>unitOffset</c> 1)
/// dx = r (dy w) - x r^3 / n sum(dy w x);  dw = sum over rows of dy x r
/// </code>
/// Sums run in sixteen fp32 lanes, lane = column mod 16, so the bits do not depend on the width. Rows are contiguous, of <c>n</c> values.
/// </remarks>
public static unsafe partial class RmsNorm
{
    /// <summary>y = norm(x) for rows [begin, end); x and y may be the same memory.</summary>
    /// <param name="x">(rows, n).</param>
    /// <param name="weight">(n).</param>
    /// <param name="y">(rows, n).</param>
    /// <param name="inverse">(rows): r of each row, for the backward pass; may be null.</param>
    /// <param name="n">Length of a row.</param>
    /// <param name="epsilon">eps.</param>
    /// <param name="unitOffset">0, or 1 for weights stored as w - 1.</param>
    /// <param name="begin">First row.</param>
    /// <param name="end">One past the last row.</param>
    public static void Forward(float* x, float* weight, float* y, float* inverse, int n, float epsilon, float unitOffset, long begin, long end)
        => Forward(Kernels.Width, x, weight, y, inverse, n, epsilon, unitOffset, begin, end);

    /// <summary>sum = x + scale * delta, y = norm(sum), in one pass over memory; sum may be x.</summary>
    /// <param name="x">(rows, n): the residual stream.</param>
    /// <param name="delta">(rows, n): what a sub-layer adds.</param>
    /// <param name="scale">Residual multiplier, 1 in most families.</param>
    /// <param name="sum">(rows, n).</param>
    /// <param name="weight">(n).</param>
    /// <param name="y">(rows, n).</param>
    /// <param name="inverse">(rows), or null.</param>
    /// <param name="n">Length of a row.</param>
    /// <param name="epsilon">eps.</param>
    /// <param name="unitOffset">0, or 1 for weights stored as w - 1.</param>
    /// <param name="begin">First row.</param>
    /// <param name="end">One past the last row.</param>
    public static void AddForward(
        float* x, float* delta, float scale, float* sum, float* weight, float* y, float* inverse, int n, float epsilon, float unitOffset, long begin, long end)
    {
        for (var row = begin; row < end; row++)
        {
            Arithmetic.AddScaled(x + row * n, delta + row * n, scale, sum + row * n, 0, n);
            Forward(sum, weight, y, inverse, n, epsilon, unitOffset, row, row + 1);
        }
    }

    /// <summary>dx = base + the gradient through the norm, for rows [begin, end). dx may be dy or base.</summary>
    /// <param name="x">(rows, n): the norm's input.</param>
    /// <param name="weight">(n).</param>
    /// <param name="inverse">(rows): r as the forward pass gave it.</param>
    /// <param name="dy">(rows, n).</param>
    /// <param name="residual">(rows, n) added to the result: the gradient that goes around the norm; null for none.</param>
    /// <param name="dx">(rows, n).</param>
    /// <param name="n">Length of a row.</param>
    /// <param name="unitOffset">0, or 1 for weights stored as w - 1.</param>
    /// <param name="begin">First row.</param>
    /// <param name="end">One past the last row.</param>
    public static void Backward(float* x, float* weight, float* inverse, float* dy, float* residual, float* dx, int n, float unitOffset, long begin, long end)
        => Backward(Kernels.Width, x, weight, inverse, dy, residual, dx, n, unitOffset, begin, end);

    /// <summary>dw += the weight's gradient over all rows, for columns [begin, end).</summary>
    /// <param name="x">(rows, n): the norm's input.</param>
    /// <param name="inverse">(rows): r as the forward pass gave it.</param>
    /// <param name="dy">(rows, n).</param>
    /// <param name="dw">(n).</param>
    /// <param name="n">Length of a row.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="begin">First column.</param>
    /// <param name="end">One past the last column.</param>
    public static void WeightGradient(float* x, float* inverse, float* dy, float* dw, int n, long rows, int begin, int end)
        => WeightGradient(Kernels.Width, x, inverse, dy, dw, n, rows, begin, end);

    internal static void WeightGradient(KernelWidth width, float* x, float* inverse, float* dy, float* dw, int n, long rows, int begin, int end)
    {
        for (long row = 0; row < rows; row++)
        {
            var at = row * n;
            switch (width)
            {
                case KernelWidth.Vector512: AddWeightRow<Lanes512>(x + at, inverse[row], dy + at, dw, begin, end); break;
                case KernelWidth.Vector256: AddWeightRow<Lanes256>(x + at, inverse[row], dy + at, dw, begin, end); break;
                case KernelWidth.Vector128: AddWeightRow<Lanes128>(x + at, inverse[row], dy + at, dw, begin, end); break;
                default: AddWeightRow(x + at, inverse[row], dy + at, dw, begin, end); break;
            }
        }
    }

    internal static void Forward(KernelWidth width, float* x, float* weight, float* y, float* inverse, int n, float epsilon, float unitOffset, long begin,
        long end)
    {
        for (var row = begin; row < end; row++)
        {
            var r = width switch
            {
                KernelWidth.Vector512 => ForwardRow<Lanes512>(x + row * n, weight, y + row * n, n, epsilon, unitOffset),
                KernelWidth.Vector256 => ForwardRow<Lanes256>(x + row * n, weight, y + row * n, n, epsilon, unitOffset),
                KernelWidth.Vector128 => ForwardRow<Lanes128>(x + row * n, weight, y + row * n, n, epsilon, unitOffset),
                _ => ForwardRow(x + row * n, weight, y + row * n, n, epsilon, unitOffset),
            };
            if (inverse != null) inverse[row] = r;
        }
    }

    internal static void Backward(
        KernelWidth width, float* x, float* weight, float* inverse, float* dy, float* residual, float* dx, int n, float unitOffset, long begin, long end)
    {
        for (var row = begin; row < end; row++)
        {
            var at = row * n;
            var around = residual == null ? null : residual + at;
            switch (width)
            {
                case KernelWidth.Vector512: BackwardRow<Lanes512>(x + at, weight, inverse[row], dy + at, around, dx + at, n, unitOffset); break;
                case KernelWidth.Vector256: BackwardRow<Lanes256>(x + at, weight, inverse[row], dy + at, around, dx + at, n, unitOffset); break;
                case KernelWidth.Vector128: BackwardRow<Lanes128>(x + at, weight, inverse[row], dy + at, around, dx + at, n, unitOffset); break;
                default: BackwardRow(x + at, weight, inverse[row], dy + at, around, dx + at, n, unitOffset); break;
            }
        }
    }
}
