using Trainer.Engine.Generation;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers;

/// <summary>A convolution over the last few tokens, each channel by itself: y_t = sum over j of w_j x_(t - taps + 1 + j), 0 before the first token.</summary>
internal static class CausalConvolution
{
    /// <summary>The convolution of [count, length, channels].</summary>
    /// <param name="x">[count, length, channels].</param>
    /// <param name="weight">[channels, 1, taps], the last tap is the present token's.</param>
    /// <param name="bias">[channels], or null.</param>
    /// <param name="cache">What of earlier tokens is kept, or null.</param>
    /// <param name="layer">Whose.</param>
    public static Tensor Apply(Tensor x, Tensor weight, Tensor? bias, KvCache? cache, int layer)
    {
        var (taps, length) = (weight.shape[2], x.shape[1]);
        var before = cache?.State(layer, "convolution") ?? zeros(x.shape[0], taps - 1, x.shape[2], dtype: x.dtype, device: x.device);
        var whole = cat([before, x], 1);
        cache?.Keep(layer, "convolution", whole.narrow(1, length, taps - 1));
        Tensor? sum = null;
        for (long j = 0; j < taps; j++)
        {
            var part = whole.narrow(1, j, length) * weight.select(2, j).select(1, 0);
            sum = sum is null ? part : sum + part;
        }
        return bias is null ? sum! : sum! + bias;
    }
}
