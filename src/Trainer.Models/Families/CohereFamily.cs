using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Command R: attention and feed-forward side by side behind one LayerNorm without bias, neighbouring pairs rotated, scaled logits.</summary>
internal static class CohereFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var hasHeadNorms = reader.Bool("use_qk_norm");
        return Common(reader, type).WithAttention(attention => attention with { QkNorm = hasHeadNorms ? QkNorm.OwnWeights : QkNorm.None });
    }

    /// <summary>Command R7B and A: windows in three of four layers, and the rotary embedding in those alone.</summary>
    public static ModelConfig DescribeSecond(ConfigReader reader, string type)
    {
        var interval = reader.Positive("sliding_window_pattern", 4);
        return Common(reader, type).WithWindows(reader, reader.Positive("sliding_window", 4096), l => (l + 1) % interval != 0, fullRope: -1);
    }

    private static ModelConfig Common(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { Tied = true, EpsilonKey = "layer_norm_eps", Epsilon = 1e-5, Theta = 500_000 });
        var bias = reader.Bool("attention_bias");
        return (config with { LogitDivisor = 1 / reader.PositiveNumber("logit_scale", 0.0625), Ropes = [config.Ropes[0] with { IsInterleaved = true }] })
            .WithNorm(norm => norm with { Kind = NormKind.Layer })
            .WithAttention(attention => attention with { QkvBias = bias, OutputBias = bias })
            .WithLayers((layer, _) => layer with { IsParallel = true, Norms = new("input_layernorm", null, null, null) });
    }
}
