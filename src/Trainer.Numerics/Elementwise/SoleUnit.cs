using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

/// <summary>h = max(x, 0)^2 and its gradient, elementwise: the unit of blocks without gates.</summary>
public static unsafe class SoleUnit
{
    /// <summary>h of elements [begin, end); h may be x.</summary>
    /// <param name="x">Values.</param>
    /// <param name="h">Result.</param>
    /// <param name="begin">First element.</param>
    /// <param name="end">One past the last.</param>
    public static void Forward(float* x, float* h, long begin, long end) => Forward(Kernels.Width, x, h, begin, end);

    /// <summary>dx = 2 max(x, 0) dh for elements [begin, end); dx may be either.</summary>
    /// <param name="x">Values.</param>
    /// <param name="dh">Gradient of h.</param>
    /// <param name="dx">Gradient of x.</param>
    /// <param name="begin">First element.</param>
    /// <param name="end">One past the last.</param>
    public static void Backward(float* x, float* dh, float* dx, long begin, long end) => Backward(Kernels.Width, x, dh, dx, begin, end);

    internal static void Forward(KernelWidth width, float* x, float* h, long begin, long end)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Forward<Lanes512>(x, h, begin, end); break;
            case KernelWidth.Vector256: Forward<Lanes256>(x, h, begin, end); break;
            case KernelWidth.Vector128: Forward<Lanes128>(x, h, begin, end); break;
            default: ForwardScalar(x, h, begin, end); break;
        }
    }

    internal static void Backward(KernelWidth width, float* x, float* dh, float* dx, long begin, long end)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Backward<Lanes512>(x, dh, dx, begin, end); break;
            case KernelWidth.Vector256: Backward<Lanes256>(x, dh, dx, begin, end); break;
            case KernelWidth.Vector128: Backward<Lanes128>(x, dh, dx, begin, end); break;
            default: BackwardScalar(x, dh, dx, begin, end); break;
        }
    }

    // What is no number stays none.
    private static float Above(float x) => x < 0f ? 0f : x;

    private static T Above<T>(T x) where T : struct, ILanes<T> => T.ZeroWhereLess(x, T.Create(0f), x);

    private static void ForwardScalar(float* x, float* h, long begin, long end)
    {
        for (var i = begin; i < end; i++) h[i] = Above(x[i]) * Above(x[i]);
    }

    private static void BackwardScalar(float* x, float* dh, float* dx, long begin, long end)
    {
        for (var i = begin; i < end; i++) dx[i] = 2f * Above(x[i]) * dh[i];
    }

    private static void Forward<T>(float* x, float* h, long begin, long end) where T : struct, ILanes<T>
    {
        var i = begin;
        for (; i + 16 <= end; i += 16)
        {
            var above = Above(T.Load(x + i));
            (above * above).Store(h + i);
        }
        ForwardScalar(x, h, i, end);
    }

    private static void Backward<T>(float* x, float* dh, float* dx, long begin, long end) where T : struct, ILanes<T>
    {
        var i = begin;
        for (; i + 16 <= end; i += 16) (T.Create(2f) * Above(T.Load(x + i)) * T.Load(dh + i)).Store(dx + i);
        BackwardScalar(x, dh, dx, i, end);
    }
}
