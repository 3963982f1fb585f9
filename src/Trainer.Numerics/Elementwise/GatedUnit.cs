using System.Runtime.CompilerServices;
using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

/// <summary>h = act(g) * u and its gradients, elementwise.</summary>
/// <remarks>
/// Both activations are x times a logistic function of some t(x): SiLU with t = x, GELU-tanh with t = 2 sqrt(2/pi) (x + 0.044715 x^3), since
/// 0.5 (1 + tanh(z)) = 1 / (1 + e^-2z). So act'(x) = s + x s (1 - s) t'(x).
/// </remarks>
public static unsafe class GatedUnit
{
    private const float GeluLinear = 1.5957691216057308f;
    private const float GeluCubic = 0.044715f;

    /// <summary>h = act(g) * u for elements [begin, end); h may be g or u.</summary>
    /// <param name="gate">Activation.</param>
    /// <param name="g">Gate values.</param>
    /// <param name="u">Up values.</param>
    /// <param name="h">Result.</param>
    /// <param name="begin">First element.</param>
    /// <param name="end">One past the last.</param>
    public static void Forward(Gate gate, float* g, float* u, float* h, long begin, long end) => Forward(Kernels.Width, gate, g, u, h, begin, end);

    /// <summary>dg = dh * u * act'(g), du = dh * act(g) for elements [begin, end); dg and du may be any of the inputs.</summary>
    /// <param name="gate">Activation.</param>
    /// <param name="g">Gate values.</param>
    /// <param name="u">Up values.</param>
    /// <param name="dh">Gradient of h.</param>
    /// <param name="dg">Gradient of g.</param>
    /// <param name="du">Gradient of u.</param>
    /// <param name="begin">First element.</param>
    /// <param name="end">One past the last.</param>
    public static void Backward(Gate gate, float* g, float* u, float* dh, float* dg, float* du, long begin, long end)
        => Backward(Kernels.Width, gate, g, u, dh, dg, du, begin, end);

    internal static void Forward(KernelWidth width, Gate gate, float* g, float* u, float* h, long begin, long end)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Forward<Lanes512>(gate, g, u, h, begin, end); break;
            case KernelWidth.Vector256: Forward<Lanes256>(gate, g, u, h, begin, end); break;
            case KernelWidth.Vector128: Forward<Lanes128>(gate, g, u, h, begin, end); break;
            default: ForwardScalar(gate, g, u, h, begin, end); break;
        }
    }

    internal static void Backward(KernelWidth width, Gate gate, float* g, float* u, float* dh, float* dg, float* du, long begin, long end)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Backward<Lanes512>(gate, g, u, dh, dg, du, begin, end); break;
            case KernelWidth.Vector256: Backward<Lanes256>(gate, g, u, dh, dg, du, begin, end); break;
            case KernelWidth.Vector128: Backward<Lanes128>(gate, g, u, dh, dg, du, begin, end); break;
            default: BackwardScalar(gate, g, u, dh, dg, du, begin, end); break;
        }
    }

    /// <summary>The specification of the forward pass.</summary>
    private static void ForwardScalar(Gate gate, float* g, float* u, float* h, long begin, long end)
    {
        for (var i = begin; i < end; i++) h[i] = g[i] * Logistic(gate, g[i]) * u[i];
    }

    /// <summary>The specification of the backward pass.</summary>
    private static void BackwardScalar(Gate gate, float* g, float* u, float* dh, float* dg, float* du, long begin, long end)
    {
        for (var i = begin; i < end; i++)
        {
            var (x, up, d) = (g[i], u[i], dh[i]);
            var s = Logistic(gate, x);
            var act = x * s;
            var slope = gate == Gate.Silu ? 1f : GeluLinear * MathF.FusedMultiplyAdd(x * x, 3f * GeluCubic, 1f);
            dg[i] = d * up * MathF.FusedMultiplyAdd(act * (1f - s), slope, s);
            du[i] = d * act;
        }
    }

    private static float Logistic(Gate gate, float x)
    {
        var t = gate == Gate.Silu ? x : GeluLinear * x * MathF.FusedMultiplyAdd(x * x, GeluCubic, 1f);
        return 1f / (1f + Exponential.Of(0f - t));
    }

    private static void Forward<T>(Gate gate, float* g, float* u, float* h, long begin, long end) where T : struct, ILanes<T>
    {
        var i = begin;
        for (; i + 16 <= end; i += 16)
        {
            var x = T.Load(g + i);
            (x * Logistic(gate, x) * T.Load(u + i)).Store(h + i);
        }
        ForwardScalar(gate, g, u, h, i, end);
    }

    private static void Backward<T>(Gate gate, float* g, float* u, float* dh, float* dg, float* du, long begin, long end) where T : struct, ILanes<T>
    {
        var one = T.Create(1f);
        var i = begin;
        for (; i + 16 <= end; i += 16)
        {
            T x = T.Load(g + i), up = T.Load(u + i), d = T.Load(dh + i);
            var s = Logistic(gate, x);
            var act = x * s;
            var slope = gate == Gate.Silu ? one : T.Create(GeluLinear) * T.Fused(x * x, T.Create(3f * GeluCubic), one);
            (d * up * T.Fused(act * (one - s), slope, s)).Store(dg + i);
            (d * act).Store(du + i);
        }
        BackwardScalar(gate, g, u, dh, dg, du, i, end);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Logistic<T>(Gate gate, T x) where T : struct, ILanes<T>
    {
        var one = T.Create(1f);
        var t = gate == Gate.Silu ? x : T.Create(GeluLinear) * x * T.Fused(x * x, T.Create(GeluCubic), one);
        return one / (one + Exponential.Of(T.Create(0f) - t));
    }
}
