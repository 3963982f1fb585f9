using Trainer.Models.Config;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Dense;

/// <summary>The activations of feed-forward blocks with torch operators.</summary>
internal static class Activations
{
    public static Tensor Apply(Activation activation, Tensor x) => activation switch
    {
        Activation.Silu => nn.functional.silu(x),
        Activation.GeluTanh => GeluTanh(x),
        Activation.Gelu => nn.functional.gelu(x),
        Activation.ReluSquared => nn.functional.relu(x).square(),
        _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, null),
    };

    public static Tensor GeluTanh(Tensor x) => 0.5 * x * (1 + (Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)).tanh());

    /// <summary>max(x - mean - z deviation, 0) over the last dimension, where z is the point below which a normal distribution has the given share.</summary>
    public static Tensor Largest(Tensor x, double share)
    {
        var z = (float)NormalPoint(share);
        var mean = x.mean([-1], keepdim: true);
        var deviation = (x - mean).square().mean([-1], keepdim: true).sqrt();
        return nn.functional.relu(x - (mean + deviation * z));
    }

    /// <summary>The point below which a normal distribution has a share.</summary>
    /// <param name="share">Above 0 and below 1.</param>
    public static double NormalPoint(double share)
    {
        using var point = tensor(2 * share - 1, dtype: ScalarType.Float64).erfinv();
        return Math.Sqrt(2) * point.item<double>();
    }

    /// <summary>p x^2 + b x where x is above 0, else n (exp(min(x, e)) - 1 - x) + b x; p = softplus(positive), n = b + softplus(negative).</summary>
    public static Tensor Xielu(Tensor x, Tensor positive, Tensor negative, Tensor slope, Tensor limit)
    {
        var (p, n) = (nn.functional.softplus(positive), slope + nn.functional.softplus(negative));
        return where(x.gt(0), p * x * x + slope * x, n * (minimum(x, limit).expm1() - x) + slope * x);
    }
}
