using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Nemotron and Minitron: LayerNorm with weights stored minus one, half of each head rotated, no gate, the square of ReLU.</summary>
internal static class NemotronFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = LlamaFamily.Describe(reader, type,
            new FamilyDefaults { EpsilonKey = "norm_eps", Epsilon = 1e-5, RotaryShare = 0.5, Activation = "relu2" });
        return config.WithNorm(norm => norm with { Kind = NormKind.Layer, WeightPlusOne = true, HasBias = true })
            .WithFeedForward(block => block with { IsGated = false });
    }
}
