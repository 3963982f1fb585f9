namespace Trainer.Models;

/// <summary>Granite (dense): Llama with four multipliers.</summary>
internal static class GraniteFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type) => LlamaFamily.Describe(reader, type) with
    {
        AttentionScale = reader.Number("attention_multiplier", 1),
        EmbeddingMultiplier = reader.Number("embedding_multiplier", 1),
        ResidualMultiplier = reader.Number("residual_multiplier", 1),
        LogitDivisor = reader.Number("logits_scaling", 1),
    };
}
