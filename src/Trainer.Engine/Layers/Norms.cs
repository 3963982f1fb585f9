using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers;

/// <summary>Norms over the last dimension with torch operators.</summary>
internal static class Norms
{
    /// <summary>x / sqrt(mean x^2 + epsilon).</summary>
    public static Tensor RootMeanSquare(Tensor x, double epsilon) => x * (x.square().mean([-1], keepdim: true) + epsilon).rsqrt();

    /// <summary>A norm with weight and perhaps bias, which broadcast over the dimensions before theirs.</summary>
    public static Tensor Apply(NormConfig config, Tensor x, Tensor weight, Tensor? bias)
    {
        var scaled = config.Kind == NormKind.Layer ? RootMeanSquare(x - x.mean([-1], keepdim: true), config.Epsilon) : RootMeanSquare(x, config.Epsilon);
        scaled = scaled * (config.WeightPlusOne ? weight + 1 : weight);
        return bias is null ? scaled : scaled + bias;
    }
}
