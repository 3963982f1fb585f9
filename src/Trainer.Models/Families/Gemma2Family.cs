using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Gemma 2: norms before and after each block, soft caps, a sliding window in every other layer.</summary>
internal static class Gemma2Family
{
    /// <summary>Norms before and after both blocks.</summary>
    public static LayerNorms FourNorms { get; } = new("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm");

    public static ModelConfig Describe(ConfigReader reader, string type) => Describe(reader, type, new FamilyDefaults { KvHeadsRequired = true })
        .WithWindows(reader, reader.Positive("sliding_window", 4096), l => l % 2 == 0);

    /// <summary>The same without windows.</summary>
    public static ModelConfig Describe(ConfigReader reader, string type, FamilyDefaults defaults)
    {
        var config = GemmaFamily.Describe(reader, type, defaults);
        var scale = 1 / Math.Sqrt(reader.PositiveNumber("query_pre_attn_scalar", 256));
        var cap = reader.PositiveNumberOrNull("attn_logit_softcapping");
        return (config with { LogitSoftCap = reader.PositiveNumberOrNull("final_logit_softcapping") })
            .WithAttention(attention => attention with { Scale = scale, SoftCap = cap })
            .WithLayers((layer, _) => layer with { Norms = FourNorms });
    }
}
