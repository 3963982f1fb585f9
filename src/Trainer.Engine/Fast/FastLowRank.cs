using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>Low-rank updates by hand.</summary>
/// <remarks>
/// <code>
/// y += s (u B^T + b),  u = x' A^T is kept          x' = x with dropped elements
/// dx += mask (du A),  du = s dy B;  dB += s dy^T u;  dA += du^T x'
/// </code>
/// </remarks>
internal sealed class FastLowRank(IKernels kernels)
{
    /// <summary>Adds the update of x (rows, in) to y in rows of <paramref name="stride"/> floats; where y is none, only what the backward pass needs is
    /// kept.</summary>
    public void Forward(FastPass pass, LowRank update, Place x, long rows, Place y, long stride, Place low, float factor = 1f)
    {
        Lower(update, Drops(pass, update) ? Drop(pass, update, x, rows) : x, rows, low);
        if (!y.IsNone) Raise(update, rows, low, y, stride, factor);
    }

    /// <summary>Adds the gradients of A, B and its bias, and to dx (unless there is none) that of x.</summary>
    public void Backward(FastPass pass, LowRank update, Place x, long rows, Place dy, long stride, Place dx, Place low, float factor = 1f)
    {
        var drops = Drops(pass, update);
        Gradients(pass, update, drops ? Drop(pass, update, x, rows) : x, rows, dy, stride, low, factor);
        if (dx.IsNone) return;
        // The dropped input is used up: its room takes du A, which the same mask thins out.
        AddLow(pass, update, rows, drops ? pass.Memory.Floats(BufferId.Dropped) : dx, drops ? 0f : 1f);
        if (drops) AddMasked(pass, dx, rows * update.Inputs);
    }

    /// <summary>u = x' A^T.</summary>
    public void Lower(LowRank update, Place input, long rows, Place low) =>
        kernels.TimesTransposed(rows, update.Rank, update.Inputs, 1f, input, update.Inputs, update.A, update.Inputs, 0f, low, update.Rank);

    /// <summary>y += factor s (u B^T + b).</summary>
    public void Raise(LowRank update, long rows, Place low, Place y, long stride, float factor = 1f)
    {
        var scale = update.Scale * factor;
        kernels.TimesTransposed(rows, update.Outputs, update.Rank, scale, low, update.Rank, update.B, update.Rank, 1f, y, stride);
        if (!update.BiasB.IsNone) kernels.AddRow(update.BiasB, scale, rows, update.Outputs, y, stride);
    }

    /// <summary>Gradients of A, B and B's bias; leaves du for the input's.</summary>
    public void Gradients(FastPass pass, LowRank update, Place input, long rows, Place dy, long stride, Place low, float factor = 1f)
    {
        var (r, wide, high, scale) = (update.Rank, update.Inputs, update.Outputs, update.Scale * factor);
        if (!update.BiasB.IsNone) AddRowSum(pass, update.GradientBiasB, scale, rows, dy, stride, high);
        Place du = pass.Memory.Floats(BufferId.LowGradient), transposed = pass.Memory.Floats(BufferId.UpperGradient);
        kernels.Times(rows, r, high, scale, dy, stride, update.B, r, 0f, du, r);
        // dB += s dy^T u by way of its transpose: BLAS runs u^T dy at twice the rate of a product that is only r wide.
        kernels.TransposedTimes(r, high, rows, scale, low, r, dy, stride, 0f, transposed, high);
        kernels.AddTransposed(transposed, r, high, update.GradientB, update.Step);
        kernels.TransposedTimes(r, wide, rows, 1f, du, r, input, wide, 1f, update.GradientA, wide);
    }

    /// <summary>target = beta target + du A.</summary>
    public void AddLow(FastPass pass, LowRank update, long rows, Place target, float beta) =>
        kernels.Times(rows, update.Inputs, update.Rank, 1f, pass.Memory.Floats(BufferId.LowGradient), update.Rank, update.A, update.Inputs, beta, target,
        update.Inputs);

    /// <summary>dx += what lies in the dropped input's room, thinned out by its mask.</summary>
    public void AddMasked(FastPass pass, Place dx, long count)
        => kernels.AddProduct(pass.Memory.Floats(BufferId.Dropped), pass.Memory.Floats(BufferId.Mask), dx, count);

    /// <summary>target += factor times the sum of dy's rows.</summary>
    public void AddRowSum(FastPass pass, Place target, float factor, long rows, Place dy, long stride, long high) =>
        kernels.Times(1, high, rows, factor, pass.Memory.Floats(BufferId.Ones), rows, dy, stride, 1f, target, high);

    public static bool Drops(FastPass pass, LowRank update) => update.Dropout > 0 && pass.Key is not null;

    /// <summary>x with dropped elements, in a room of its own.</summary>
    public Place Drop(FastPass pass, LowRank update, Place x, long rows)
    {
        var (mask, target) = (pass.Memory.Floats(BufferId.Mask), pass.Memory.Floats(BufferId.Dropped));
        kernels.Mask(pass.Key!.Value, update.Index, rows, update.Inputs, update.Dropout, mask);
        kernels.Multiply(x, mask, target, rows * update.Inputs);
        return target;
    }
}
