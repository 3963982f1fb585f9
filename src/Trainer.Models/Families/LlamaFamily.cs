using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Llama 2, 3, 3.1, 3.2, 3.3 and everything saved as such.</summary>
internal static class LlamaFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type) => Describe(reader, type, new FamilyDefaults());

    /// <summary>The same with another family's defaults.</summary>
    public static ModelConfig Describe(ConfigReader reader, string type, FamilyDefaults defaults)
    {
        var (bias, mlpBias) = (reader.Bool("attention_bias"), reader.Bool("mlp_bias"));
        return FamilyBase.Common(reader, type, defaults)
            .WithAttention(attention => attention with { QkvBias = bias, OutputBias = bias })
            .WithFeedForward(block => block with { HasBias = mlpBias });
    }
}
