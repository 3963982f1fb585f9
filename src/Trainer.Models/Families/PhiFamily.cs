using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Phi-1, 1.5 and 2: both blocks side by side behind one LayerNorm, biases everywhere, half of each head rotated, no gate.</summary>
internal static class PhiFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        if (reader.Bool("qk_layernorm")) throw reader.NotImplemented("qk_layernorm", "true");
        var config = FamilyBase.Common(reader, type,
            new FamilyDefaults { EpsilonKey = "layer_norm_eps", Epsilon = 1e-5, RotaryShare = 0.5, Activation = "gelu_new" });
        return (config with { FinalNormName = "final_layernorm", HeadBias = true })
            .WithNorm(norm => norm with { Kind = NormKind.Layer, HasBias = true })
            .WithAttention(attention => attention with { QkvBias = true, OutputBias = true, OutputName = "dense" })
            .WithFeedForward(block => block with { IsGated = false, UpName = "fc1", DownName = "fc2", HasBias = true })
            .WithLayers((layer, _) => layer with { IsParallel = true, Norms = new("input_layernorm", null, null, null) });
    }
}
