namespace Trainer.Models;

/// <summary>Gemma 2: norms before and after each block, soft caps, a sliding window in every other layer.</summary>
internal static class Gemma2Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = GemmaFamily.Describe(reader, type);
        return config with
        {
            Norms = new LayerNorms("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"),
            AttentionScale = 1 / Math.Sqrt(reader.Number("query_pre_attn_scalar", 256)),
            AttentionSoftCap = reader.Has("attn_logit_softcapping") ? reader.Number("attn_logit_softcapping") : null,
            LogitSoftCap = reader.Has("final_logit_softcapping") ? reader.Number("final_logit_softcapping") : null,
            Layers = FamilyBase.Windows(reader, config.LayerCount, reader.Int("sliding_window", 4096), l => l % 2 == 0),
        };
    }
}
