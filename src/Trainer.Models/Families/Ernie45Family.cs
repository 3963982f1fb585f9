using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>ERNIE 4.5 (dense): Llama rotated in neighbouring pairs, with one switch for all biases.</summary>
internal static class Ernie45Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { Tied = true, Epsilon = 1e-5, Theta = 500_000, HeadSize = 128 });
        var bias = reader.Bool("use_bias");
        return (config with { Ropes = [config.Ropes[0] with { IsInterleaved = true }] })
            .WithAttention(attention => attention with { QkvBias = bias, OutputBias = bias })
            .WithFeedForward(block => block with { HasBias = bias });
    }
}
