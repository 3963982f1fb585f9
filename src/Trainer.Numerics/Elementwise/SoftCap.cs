using System.Runtime.CompilerServices;
using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

/// <summary>Soft caps of scores and logits (Gemma 2, arXiv 2408.00118): s := cap tanh(s / cap), and the slope 1 - tanh^2 that its gradient is multiplied
/// with.</summary>
/// <remarks>
/// tanh as Cephes' tanhf: an odd polynomial below 0.625, 1 - 2 / (e^2x + 1) above, on |x|. The plain exponential form alone would lose small scores:
/// its error is absolute, and the cap multiplies it. Values are at most two units in the last place off.
/// </remarks>
public static unsafe class SoftCap
{
    private const float Near = 0.625f;
    private const float JustAboveNear = 0.62500006f;
    private const float C0 = -5.70498872745e-3f, C1 = 2.06390887954e-2f, C2 = -5.37397155531e-2f, C3 = 1.33314422036e-1f, C4 = -3.33332819422e-1f;

    /// <summary>Caps n values in place.</summary>
    /// <param name="s">Values.</param>
    /// <param name="slope">(n): each value's slope; may be null.</param>
    /// <param name="n">How many.</param>
    /// <param name="cap">The cap, greater than 0.</param>
    public static void Forward(float* s, float* slope, int n, float cap) => Forward(Kernels.Width, s, slope, n, cap);

    internal static void Forward(KernelWidth width, float* s, float* slope, int n, float cap)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Forward<Lanes512>(s, slope, n, cap); break;
            case KernelWidth.Vector256: Forward<Lanes256>(s, slope, n, cap); break;
            case KernelWidth.Vector128: Forward<Lanes128>(s, slope, n, cap); break;
            default: ForwardScalar(s, slope, 0, n, cap); break;
        }
    }

    /// <summary>The specification, from element <paramref name="i"/> on.</summary>
    private static void ForwardScalar(float* s, float* slope, int i, int n, float cap)
    {
        for (; i < n; i++)
        {
            var t = Tanh(s[i] / cap);
            s[i] = t * cap;
            if (slope != null) slope[i] = MathF.FusedMultiplyAdd(t, 0f - t, 1f);
        }
    }

    private static void Forward<T>(float* s, float* slope, int n, float cap) where T : struct, ILanes<T>
    {
        T most = T.Create(cap), zero = T.Create(0f), one = T.Create(1f);
        var i = 0;
        for (; i + 16 <= n; i += 16)
        {
            var t = Tanh(T.Load(s + i) / most);
            (t * most).Store(s + i);
            if (slope != null) T.Fused(t, zero - t, one).Store(slope + i);
        }
        ForwardScalar(s, slope, i, n, cap);
    }

    /// <summary>The specification of the hyperbolic tangent.</summary>
    /// <param name="x">Argument; a NaN stays a NaN.</param>
    internal static float Tanh(float x)
    {
        var size = x > 0f - x ? x : 0f - x;
        float t;
        if (size < JustAboveNear)
        {
            var square = size * size;
            var p = MathF.FusedMultiplyAdd(C0, square, C1);
            p = MathF.FusedMultiplyAdd(p, square, C2);
            p = MathF.FusedMultiplyAdd(p, square, C3);
            p = MathF.FusedMultiplyAdd(p, square, C4);
            t = MathF.FusedMultiplyAdd(p * square, size, size);
        }
        else t = 1f - 2f / (Exponential.Of(size + size) + 1f);
        return x < 0f ? 0f - t : t;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Tanh<T>(T x) where T : struct, ILanes<T>
    {
        T zero = T.Create(0f), one = T.Create(1f);
        var size = T.Larger(x, zero - x);
        var square = size * size;
        var p = T.Fused(T.Create(C0), square, T.Create(C1));
        p = T.Fused(p, square, T.Create(C2));
        p = T.Fused(p, square, T.Create(C3));
        p = T.Fused(p, square, T.Create(C4));
        var near = T.Fused(p * square, size, size);
        var far = one - T.Create(2f) / (Exponential.Of(size + size) + one);
        // Each form is 0 where the other holds; a NaN is in both.
        var t = T.ZeroWhereLess(T.Create(Near), size, near) + T.ZeroWhereLess(size, T.Create(JustAboveNear), far);
        // t where x is not below 0, -t where it is.
        return T.ZeroWhereLess(x, zero, t + t) - t;
    }
}
