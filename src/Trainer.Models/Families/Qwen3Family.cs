using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Qwen 3 (dense), and the text model of Qwen 3 VL: norms on queries and keys of each head, no biases by default.</summary>
internal static class Qwen3Family
{
    public static ModelConfig Describe(ConfigReader reader, string type) => Describe(reader, type, new FamilyDefaults());

    public static ModelConfig DescribeVision(ConfigReader reader, string type) => Describe(reader, type, new FamilyDefaults { Theta = 500_000 });

    private static ModelConfig Describe(ConfigReader reader, string type, FamilyDefaults defaults)
    {
        var config = FamilyBase.Common(reader, type, defaults with { HeadSize = 128, KvHeadsRequired = true });
        var bias = reader.Bool("attention_bias");
        return Qwen2Family.Windows(config, reader).WithAttention(attention => attention with { QkNorm = QkNorm.PerHead, QkvBias = bias, OutputBias = bias });
    }
}
