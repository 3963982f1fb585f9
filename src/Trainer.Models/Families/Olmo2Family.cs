using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>OLMo 2: norms on each block's output alone, and on queries and keys over all heads.</summary>
internal static class Olmo2Family
{
    /// <summary>Norms on the outputs of both blocks.</summary>
    public static LayerNorms PostNorms { get; } = new(null, "post_attention_layernorm", null, "post_feedforward_layernorm");

    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var bias = reader.Bool("attention_bias");
        return FamilyBase.Common(reader, type, new FamilyDefaults { Epsilon = 1e-5 })
            .WithAttention(attention => attention with { QkvBias = bias, OutputBias = bias, QkNorm = QkNorm.FullWidth })
            .WithLayers((layer, _) => layer with { Norms = PostNorms });
    }
}
