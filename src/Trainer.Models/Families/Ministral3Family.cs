using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Ministral 3: Mistral whose queries grow with the logarithm of the position, for long texts.</summary>
internal static class Ministral3Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = MistralFamily.Describe(reader, type);
        var rope = reader.Object("rope_parameters");
        if (rope?.NumberOrNull("llama_4_scaling_beta") is not { } slope) return config;
        var temperature = new QueryTemperature(slope, rope.Positive("original_max_position_embeddings"), 0);
        return config.WithAttention(attention => attention with { Temperature = temperature });
    }
}
