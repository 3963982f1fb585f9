using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>GLM-4: norms before and after each block, half of each head rotated in neighbouring pairs, gate and up in one matrix.</summary>
internal static class Glm4Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { HeadSize = 128, RotaryShare = 0.5, Epsilon = 1.5625e-07 });
        var bias = reader.Bool("attention_bias");
        return (config with { Ropes = [config.Ropes[0] with { IsInterleaved = true }] })
            .WithAttention(attention => attention with { QkvBias = bias })
            .WithFeedForward(block => block with { FusedName = "gate_up_proj" })
            .WithLayers((layer, _) => layer with { Norms = new("input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm",
                "post_mlp_layernorm") });
    }
}
