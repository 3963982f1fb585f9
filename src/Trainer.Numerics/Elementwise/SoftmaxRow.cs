using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

/// <summary>Rows of attention scores: exponentials forward, and the scores' gradient backward, in place.</summary>
/// <remarks>
/// Only columns [begin, end) of a row are visible; the others become 0, so that products may run over the whole block.
/// <code>
/// forward   s := exp(s - max);  returns sum and max            (the caller divides the product by the sum)
/// backward  s := p = exp(s - lse);  dp := p (dp - delta) scale
/// </code>
/// </remarks>
public static unsafe class SoftmaxRow
{
    /// <summary>Exponentials of one row; returns their sum.</summary>
    /// <param name="s">Scores, overwritten.</param>
    /// <param name="begin">First visible column.</param>
    /// <param name="end">One past the last; at least one column is visible.</param>
    /// <param name="columns">Length of the row.</param>
    /// <param name="largest">The largest visible score.</param>
    public static float Forward(float* s, int begin, int end, int columns, out float largest) => Forward(Kernels.Width, s, begin, end, columns, out largest);

    /// <summary>Probabilities over the scores, and the scores' gradient over that of the probabilities.</summary>
    /// <param name="s">Scores, become probabilities.</param>
    /// <param name="dp">Gradient of the probabilities, becomes that of the unscaled scores.</param>
    /// <param name="begin">First visible column.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="columns">Length of the row.</param>
    /// <param name="logSum">Logarithm of the row's sum of exponentials.</param>
    /// <param name="delta">Sum over the row of probability times its gradient.</param>
    /// <param name="scale">What multiplied query-key products.</param>
    public static void Backward(float* s, float* dp, int begin, int end, int columns, float logSum, float delta, float scale)
        => Backward(Kernels.Width, s, dp, begin, end, columns, logSum, delta, scale);

    internal static float Forward(KernelWidth width, float* s, int begin, int end, int columns, out float largest)
    {
        Hide(s, begin, end, columns);
        return width switch
        {
            KernelWidth.Vector512 => ForwardLanes<Lanes512>(s + begin, end - begin, out largest),
            KernelWidth.Vector256 => ForwardLanes<Lanes256>(s + begin, end - begin, out largest),
            KernelWidth.Vector128 => ForwardLanes<Lanes128>(s + begin, end - begin, out largest),
            _ => ForwardScalar(s + begin, end - begin, out largest),
        };
    }

    internal static void Backward(KernelWidth width, float* s, float* dp, int begin, int end, int columns, float logSum, float delta, float scale)
    {
        Hide(s, begin, end, columns);
        Hide(dp, begin, end, columns);
        switch (width)
        {
            case KernelWidth.Vector512: BackwardLanes<Lanes512>(s + begin, dp + begin, end - begin, logSum, delta, scale); break;
            case KernelWidth.Vector256: BackwardLanes<Lanes256>(s + begin, dp + begin, end - begin, logSum, delta, scale); break;
            case KernelWidth.Vector128: BackwardLanes<Lanes128>(s + begin, dp + begin, end - begin, logSum, delta, scale); break;
            default: BackwardScalar(s + begin, dp + begin, 0, end - begin, logSum, delta, scale); break;
        }
    }

    private static void Hide(float* row, int begin, int end, int columns)
    {
        new Span<float>(row, begin).Clear();
        new Span<float>(row + end, columns - end).Clear();
    }

    /// <summary>The specification of the forward pass.</summary>
    private static float ForwardScalar(float* s, int n, out float largest)
    {
        largest = s[0];
        for (var i = 1; i < n; i++) largest = s[i] > largest ? s[i] : largest;
        var lanes = stackalloc float[16];
        for (var lane = 0; lane < 16; lane++) lanes[lane] = 0f;
        for (var i = 0; i < n; i++)
        {
            s[i] = Exponential.Of(s[i] - largest);
            lanes[i % 16] += s[i];
        }
        return LaneSum.Of(lanes);
    }

    /// <summary>The specification of the backward pass, from column <paramref name="i"/> on.</summary>
    private static void BackwardScalar(float* s, float* dp, int i, int n, float logSum, float delta, float scale)
    {
        for (; i < n; i++)
        {
            s[i] = Exponential.Of(s[i] - logSum);
            dp[i] = s[i] * (dp[i] - delta) * scale;
        }
    }

    private static float ForwardLanes<T>(float* s, int n, out float largest) where T : struct, ILanes<T>
    {
        var i = 0;
        largest = s[0];
        if (n >= 16)
        {
            var most = T.Load(s);
            for (i = 16; i + 16 <= n; i += 16) most = T.Larger(T.Load(s + i), most);
            largest = most.Largest();
        }
        for (; i < n; i++) largest = s[i] > largest ? s[i] : largest;
        var shift = T.Create(largest);
        var sum = T.Create(0f);
        for (i = 0; i + 16 <= n; i += 16)
        {
            var value = Exponential.Of(T.Load(s + i) - shift);
            value.Store(s + i);
            sum += value;
        }
        var lanes = stackalloc float[16];
        sum.Store(lanes);
        for (; i < n; i++)
        {
            s[i] = Exponential.Of(s[i] - largest);
            lanes[i % 16] += s[i];
        }
        return LaneSum.Of(lanes);
    }

    private static void BackwardLanes<T>(float* s, float* dp, int n, float logSum, float delta, float scale) where T : struct, ILanes<T>
    {
        T shift = T.Create(logSum), less = T.Create(delta), factor = T.Create(scale);
        var i = 0;
        for (; i + 16 <= n; i += 16)
        {
            var p = Exponential.Of(T.Load(s + i) - shift);
            p.Store(s + i);
            (p * (T.Load(dp + i) - less) * factor).Store(dp + i);
        }
        BackwardScalar(s, dp, i, n, logSum, delta, scale);
    }
}
