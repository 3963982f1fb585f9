using Trainer.Engine.Fast.Operations;

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
    private readonly FastLowRank _lowRank = new(kernels);

    /// <summary>y (rows, out) in rows of <paramref name="stride"/> floats from x (rows, in), dense, times <paramref name="factor"/> (without DoRA
    /// only).</summary>
    public void Forward(FastPass pass, LinearModule linear, Place x, long rows, Place y, long stride, AdapterState kept, float factor = 1f)
    {
        if (UpdateOf(linear) is not { } update) Product(pass, linear, x, rows, y, stride, factor);
        else if (linear.Adapter!.Magnitude is not null) ForwardDora(pass, linear, update, x, rows, y, stride, kept);
        else
        {
            Product(pass, linear, x, rows, y, stride, factor);
            _lowRank.Forward(pass, update, x, rows, y, stride, kept.Low, factor);
        }
        if (model.AdaptersEnabled && linear.TrainedBias is { } trained) kernels.AddRow(parameters.Values(trained), factor, rows, linear.OutFeatures, y, stride);
        else if (linear.Bias is { } bias) kernels.AddRow(kernels.Of(bias), factor, rows, linear.OutFeatures, y, stride);
    }

    /// <summary>What the backward pass needs of a forward pass whose output nobody reads.</summary>
    public void Keep(FastPass pass, LinearModule linear, Place x, long rows, AdapterState kept)
    {
        if (UpdateOf(linear) is not { } update) return;
        if (linear.Adapter!.Magnitude is null) _lowRank.Forward(pass, update, x, rows, default, 0, kept.Low);
        else KeepWhole(pass, linear, update, x, rows, kept);
    }

    /// <summary>Adds the parameters' gradients and, where <paramref name="dx"/> is given, writes or adds the input's; <paramref name="factor"/> as in the
    /// forward pass.</summary>
    public void Backward(
        FastPass pass, LinearModule linear, Place x, long rows, Place dy, long stride, Place dx, bool add, AdapterState kept, float factor = 1f)
    {
        if (model.AdaptersEnabled && linear.TrainedBias is { } bias)
            _lowRank.AddRowSum(pass, parameters.Gradients(bias), factor, rows, dy, stride, linear.OutFeatures);
        var update = UpdateOf(linear);
        if (update is { } scaled && linear.Adapter!.Magnitude is not null)
        {
            BackwardDora(pass, linear, scaled, x, rows, dy, stride, dx, add, kept);
            return;
        }
        if (!dx.IsNone) InputGradient(pass, linear, dy, stride, rows, dx, add, factor);
        if (Trained(linear) is { } weight) WeightGradient(weight, x, rows, dy, stride, factor);
        if (update is { } plain) _lowRank.Backward(pass, plain, x, rows, dy, stride, dx, kept.Low, factor);
    }

    // y = factor x W^T without adapter or bias.
    private void Product(FastPass pass, LinearModule linear, Place x, long rows, Place y, long stride, float factor)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        if (Trained(linear) is { } weight) kernels.TimesTransposed(rows, high, wide, factor, x, wide, parameters.Values(weight), wide, 0f, y, stride);
        else kernels.FrozenProduct(pass.Memory, linear.Weight, linear == model.Head, x, rows, y, stride, factor);
    }

    // dx = factor dy W, or that added.
    private void InputGradient(FastPass pass, LinearModule linear, Place dy, long stride, long rows, Place dx, bool add, float factor)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        if (Trained(linear) is { } weight) kernels.Times(rows, wide, high, factor, dy, stride, parameters.Values(weight), wide, add ? 1f : 0f, dx, wide);
        else kernels.FrozenInputGradient(pass.Memory, linear.Weight, linear == model.Head, dy, stride, rows, dx, add, factor);
    }

    // dW += factor dy^T x of a matrix trained whole.
    private void WeightGradient(ParameterEntry weight, Place x, long rows, Place dy, long stride, float factor)
    {
        var (high, wide) = (weight.Shape[0], weight.Shape[1]);
        kernels.TransposedTimes(high, wide, rows, factor, dy, stride, x, wide, 1f, parameters.Gradients(weight), wide);
    }

    private ParameterEntry? Trained(LinearModule linear) => model.AdaptersEnabled ? linear.TrainedWeight : null;

    private LowRank? UpdateOf(LinearModule linear)
        => model.AdaptersEnabled && linear.Adapter is { } adapter ? LowRank.Of(adapter, linear.InFeatures, linear.OutFeatures, parameters) : null;
}
