namespace Trainer.Models;

/// <summary>OLMo 2: norms on each block's output alone, and on queries and keys over all heads.</summary>
internal static class Olmo2Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var bias = reader.Bool("attention_bias");
        return FamilyBase.Common(reader, type, epsilon: 1e-5) with
        {
            QkvBias = bias,
            OutputBias = bias,
            QkNorm = QkNorm.FullWidth,
            Norms = new LayerNorms(null, "post_attention_layernorm", null, "post_feedforward_layernorm"),
        };
    }
}
