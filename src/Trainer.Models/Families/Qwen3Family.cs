namespace Trainer.Models;

/// <summary>Qwen 3 (dense): norms on queries and keys of each head, no biases by default.</summary>
internal static class Qwen3Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, headSize: 128, kvHeadsRequired: true);
        var bias = reader.Bool("attention_bias");
        return config with { QkNorm = QkNorm.PerHead, QkvBias = bias, OutputBias = bias, Layers = Qwen2Family.Windows(reader, config.LayerCount) };
    }
}
