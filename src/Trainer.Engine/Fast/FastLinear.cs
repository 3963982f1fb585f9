namespace Trainer.Engine.Fast;

/// <summary>One linear layer by hand: frozen product and low-rank update forward, and both gradients straight into the flat buffer.</summary>
/// <remarks>
/// <code>
/// y = x W^T + s (x' A^T) B^T + bias           x' = x with dropped elements, u = x' A^T is kept
/// dx = dy W + mask (du A),  du = s dy B;  dB += s dy^T u;  dA += du^T x'
/// </code>
/// The frozen products are in the compute type asked for; adapters, biases and logits are float32 in any.
/// </remarks>
internal sealed partial class FastLinear(LoadedDecoder model, IKernels kernels, FastParameters parameters)
{
    /// <summary>y (rows, out) in rows of <paramref name="stride"/> floats from x (rows, in), dense, times <paramref name="factor"/> (without DoRA only).</summary>
    public void Forward(FastPass pass, LinearModule linear, Place x, long rows, Place y, long stride, AdapterState kept, float factor = 1f)
    {
        var adapter = AdapterOf(linear);
        if (adapter?.Magnitude is not null)
        {
            ForwardDora(pass, linear, adapter, x, rows, y, stride, kept);
        }
        else
        {
            Product(pass, linear, x, rows, y, stride, factor);
            Keep(pass, linear, x, rows, kept);
            if (adapter is not null) Raise(linear, adapter, rows, kept.Low, y, stride, factor);
        }
        if (model.AdaptersEnabled && linear.TrainedBias is { } trained) kernels.AddRow(Values(trained), factor, rows, linear.OutFeatures, y, stride);
        else if (linear.Bias is { } bias) kernels.AddRow(kernels.Of(bias), factor, rows, linear.OutFeatures, y, stride);
    }

    /// <summary>What the backward pass needs of a forward pass whose output nobody reads.</summary>
    public void Keep(FastPass pass, LinearModule linear, Place x, long rows, AdapterState kept)
    {
        if (AdapterOf(linear) is not { } adapter) return;
        var (r, wide) = (adapter.Rank, linear.InFeatures);
        var input = Drops(pass, adapter) ? Drop(pass, adapter, x, rows, wide) : x;
        kernels.TimesTransposed(rows, r, wide, 1f, input, wide, Values(adapter.A), wide, 0f, kept.Low, r);
        if (adapter.Magnitude is not null) KeepWhole(pass, linear, adapter, input, rows, kept);
    }

    /// <summary>Adds the parameters' gradients and, where <paramref name="dx"/> is given, writes or adds the input's; <paramref name="factor"/> as in the forward pass.</summary>
    public void Backward(
        FastPass pass, LinearModule linear, Place x, long rows, Place dy, long stride, Place dx, bool add, AdapterState kept, float factor = 1f)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        var adapter = AdapterOf(linear);
        if (model.AdaptersEnabled && linear.TrainedBias is { } bias) AddRowSum(pass, bias, factor, rows, dy, stride, high);
        if (adapter?.Magnitude is not null)
        {
            BackwardDora(pass, linear, adapter, x, rows, dy, stride, dx, add, kept);
            return;
        }
        if (!dx.IsNone) InputGradient(pass, linear, dy, stride, rows, dx, add, factor);
        if (Trained(linear) is { } weight) WeightGradient(weight, x, rows, dy, stride, factor);
        if (adapter is null) return;
        var drops = Drops(pass, adapter);
        LowRankGradients(pass, adapter, drops ? Drop(pass, adapter, x, rows, wide) : x, rows, wide, dy, stride, high, kept.Low, factor);
        if (dx.IsNone) return;
        // The dropped input is used up: its room takes du A, which the same mask thins out.
        AddLow(pass, adapter, rows, wide, drops ? pass.Memory.Floats(BufferId.Dropped) : dx, drops ? 0f : 1f);
        if (drops) AddMasked(pass, dx, rows * wide);
    }

    // y = factor x W^T without adapter or bias.
    private void Product(FastPass pass, LinearModule linear, Place x, long rows, Place y, long stride, float factor)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        if (Trained(linear) is { } weight) kernels.TimesTransposed(rows, high, wide, factor, x, wide, Values(weight), wide, 0f, y, stride);
        else kernels.FrozenProduct(pass.Memory, linear.Weight, linear == model.Head, x, rows, y, stride, factor);
    }

    // dx = factor dy W, or that added.
    private void InputGradient(FastPass pass, LinearModule linear, Place dy, long stride, long rows, Place dx, bool add, float factor)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        if (Trained(linear) is { } weight) kernels.Times(rows, wide, high, factor, dy, stride, Values(weight), wide, add ? 1f : 0f, dx, wide);
        else kernels.FrozenInputGradient(pass.Memory, linear.Weight, linear == model.Head, dy, stride, rows, dx, add, factor);
    }

    // dW += factor dy^T x of a matrix trained whole.
    private void WeightGradient(ParameterEntry weight, Place x, long rows, Place dy, long stride, float factor)
    {
        var (high, wide) = (weight.Shape[0], weight.Shape[1]);
        kernels.TransposedTimes(high, wide, rows, factor, dy, stride, x, wide, 1f, Gradients(weight), wide);
    }

    private ParameterEntry? Trained(LinearModule linear) => model.AdaptersEnabled ? linear.TrainedWeight : null;

    private LinearAdapter? AdapterOf(LinearModule linear) => model.AdaptersEnabled ? linear.Adapter : null;

    // y += factor s (u B^T + b)
    private void Raise(LinearModule linear, LinearAdapter adapter, long rows, Place u, Place y, long stride, float factor = 1f)
    {
        var (r, high, scale) = (adapter.Rank, linear.OutFeatures, (float)adapter.Scale * factor);
        kernels.TimesTransposed(rows, high, r, scale, u, r, Values(adapter.B), r, 1f, y, stride);
        if (adapter.BiasB is { } bias) kernels.AddRow(Values(bias), scale, rows, high, y, stride);
    }

    // Gradients of A, B and B's bias; leaves du for the input's.
    private void LowRankGradients(FastPass pass, LinearAdapter adapter, Place input, long rows, long wide, Place dy, long stride, long high, Place u, float factor = 1f)
    {
        var scale = (float)adapter.Scale * factor;
        if (adapter.BiasB is { } bias) AddRowSum(pass, bias, scale, rows, dy, stride, high);
        long r = adapter.Rank;
        var du = pass.Memory.Floats(BufferId.LowGradient);
        kernels.Times(rows, r, high, scale, dy, stride, Values(adapter.B), r, 0f, du, r);
        AddUpperGradient(pass.Memory.Floats(BufferId.UpperGradient), Gradients(adapter.B), u, dy, stride, rows, r, high, scale);
        kernels.TransposedTimes(r, wide, rows, 1f, du, r, input, wide, 1f, Gradients(adapter.A), wide);
    }

    // target = beta target + du A
    private void AddLow(FastPass pass, LinearAdapter adapter, long rows, long wide, Place target, float beta)
    {
        kernels.Times(rows, wide, adapter.Rank, 1f, pass.Memory.Floats(BufferId.LowGradient), adapter.Rank, Values(adapter.A), wide, beta, target, wide);
    }

    // dx += what lies in the dropped input's room, thinned out by its mask.
    private void AddMasked(FastPass pass, Place dx, long count) => kernels.AddProduct(pass.Memory.Floats(BufferId.Dropped), pass.Memory.Floats(BufferId.Mask), dx, count);

    private void AddRowSum(FastPass pass, ParameterEntry bias, float factor, long rows, Place dy, long stride, long high)
    {
        kernels.Times(1, high, rows, factor, pass.Memory.Floats(BufferId.Ones), rows, dy, stride, 1f, Gradients(bias), high);
    }

    private static bool Drops(FastPass pass, LinearAdapter adapter) => adapter.Dropout > 0 && pass.Key is not null;

    private Place Drop(FastPass pass, LinearAdapter adapter, Place x, long rows, long wide)
    {
        var (mask, target) = (pass.Memory.Floats(BufferId.Mask), pass.Memory.Floats(BufferId.Dropped));
        kernels.Mask(pass.Key!.Value, adapter.Index, rows, wide, adapter.Dropout, mask);
        kernels.Multiply(x, mask, target, rows * wide);
        return target;
    }

    // dB += s dy^T u by way of its transpose: BLAS runs u^T dy at twice the rate of a product that is only r wide.
    private void AddUpperGradient(Place transposed, Place target, Place u, Place dy, long stride, long rows, long r, long high, float scale)
    {
        kernels.TransposedTimes(r, high, rows, scale, u, r, dy, stride, 0f, transposed, high);
        kernels.AddTransposed(transposed, r, high, target);
    }

    private Place Values(ParameterEntry entry) => parameters.Values(entry);

    private Place Gradients(ParameterEntry entry) => parameters.Gradients(entry);
}
