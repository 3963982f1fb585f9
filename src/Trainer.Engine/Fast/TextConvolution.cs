using TorchSharp;
using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>A convolution over the last few tokens of each text: a segment begins with zeros, or with what the text that it continues keeps.</summary>
internal sealed class TextConvolution(int layer, torch.Tensor weight, torch.Tensor? bias, int channels, int taps, IKernels kernels)
{
    private const string State = "convolution";

    private Place Bias => bias is null ? default : kernels.Of(bias);

    /// <summary>y = conv(x) (T, channels); texts keep their last rows of x.</summary>
    public void Forward(FastPass pass, Place x, Place y)
    {
        var starts = pass.Batch.Starts;
        if (pass.Past is not { } past)
        {
            kernels.Convolve(x, default, kernels.Of(weight), Bias, starts, channels, taps, y);
            return;
        }
        for (var s = 0; s < past.Length; s++)
        {
            var (at, count, states) = (starts[s] * (long)channels, starts[s + 1] - starts[s], past[s].States);
            kernels.Convolve(x + at, states.Of(layer, State, (taps - 1L) * channels), kernels.Of(weight), Bias, [0, count], channels, taps, y + at);
            states.Shift(layer, State, x + at, count, taps - 1, channels);
        }
    }

    /// <summary>dx from dy.</summary>
    public void Backward(FastPass pass, Place dy, Place dx) => kernels.ConvolveBackward(dy, kernels.Of(weight), pass.Batch.Starts, channels, taps, dx);
}
