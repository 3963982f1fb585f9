using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>GLM-4.5: experts chosen by sigmoid scores in groups, one block for all tokens, dense layers first, half of each head rotated.</summary>
internal static class Glm4MoeFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { RotaryShare = 0.5, Epsilon = 1e-5 });
        var (bias, hasHeadNorms, dense) = (reader.Bool("attention_bias"), reader.Bool("use_qk_norm"), reader.Int("first_k_dense_replace", 1));
        return (config with { HasExtraLayers = true })
            .WithAttention(attention => attention with { QkvBias = bias, QkNorm = hasHeadNorms ? QkNorm.PerHead : QkNorm.None })
            .WithExperts(l => l >= dense, Experts(reader, config));
    }

    /// <summary>The block of experts that DeepSeek V3 brought, and one for all tokens.</summary>
    public static ExpertFeedForward Experts(ConfigReader reader, ModelConfig config)
    {
        var block = DeepSeekExperts.Read(reader, config.Activation);
        return block with
        {
            Shared = new DenseFeedForward { Path = "mlp.shared_experts", Width = block.Width * reader.Positive("n_shared_experts", 1),
                Activation = config.Activation },
        };
    }
}
