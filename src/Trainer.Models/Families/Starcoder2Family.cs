using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>StarCoder 2: LayerNorm, biases, no gate, perhaps one window in every layer.</summary>
internal static class Starcoder2Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type,
            new FamilyDefaults { Tied = true, KvHeadsRequired = true, EpsilonKey = "norm_epsilon", Epsilon = 1e-5, Activation = "gelu_pytorch_tanh" });
        var (bias, window) = (reader.Bool("use_bias", true), reader.PositiveOrNull("sliding_window"));
        return config.WithWindows(reader, window, _ => window is not null)
            .WithNorm(norm => norm with { Kind = NormKind.Layer, HasBias = true })
            .WithAttention(attention => attention with { QkvBias = bias, OutputBias = bias })
            .WithFeedForward(block => block with { IsGated = false, UpName = "c_fc", DownName = "c_proj", HasBias = bias });
    }
}
