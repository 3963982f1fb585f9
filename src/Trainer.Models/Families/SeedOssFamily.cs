using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Seed-OSS: Llama with separate switches for the biases of q, k, v and of the output.</summary>
internal static class SeedOssFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var (bias, output, mlp) = (reader.Bool("attention_bias", true), reader.Bool("attention_out_bias"), reader.Bool("mlp_bias"));
        return FamilyBase.Common(reader, type, new FamilyDefaults { HeadSize = 128 })
            .WithAttention(attention => attention with { QkvBias = bias, OutputBias = output })
            .WithFeedForward(block => block with { HasBias = mlp });
    }
}
