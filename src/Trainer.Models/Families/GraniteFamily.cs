using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Granite (dense): Llama with four multipliers.</summary>
internal static class GraniteFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type) => WithMultipliers(LlamaFamily.Describe(reader, type), reader);

    /// <summary>The four multipliers, which all of Granite's families have.</summary>
    public static ModelConfig WithMultipliers(ModelConfig config, ConfigReader reader)
    {
        var scale = reader.Number("attention_multiplier", 1);
        return (config with
        {
            EmbeddingMultiplier = reader.Number("embedding_multiplier", 1),
            ResidualMultiplier = reader.Number("residual_multiplier", 1),
            LogitDivisor = reader.PositiveNumber("logits_scaling", 1),
        }).WithAttention(attention => attention with { Scale = scale });
    }
}
