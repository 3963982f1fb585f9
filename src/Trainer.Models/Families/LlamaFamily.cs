namespace Trainer.Models;

/// <summary>Llama 2, 3, 3.1, 3.2, 3.3 and everything saved as such.</summary>
internal static class LlamaFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var bias = reader.Bool("attention_bias");
        return FamilyBase.Common(reader, type) with { QkvBias = bias, OutputBias = bias, MlpBias = reader.Bool("mlp_bias") };
    }
}
