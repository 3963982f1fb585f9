using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Qwen 2 with experts, and one gated block that every token passes.</summary>
internal static class Qwen2MoeFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { KvHeadsRequired = true });
        var (experts, bias) = (MixtureKeys.Experts(reader, 60), reader.Bool("qkv_bias", true));
        config = Qwen2Family.Windows(config, reader).WithAttention(attention => attention with { QkvBias = bias });
        return config.WithExperts(MixtureKeys.Sparse(reader, config.LayerCount), new ExpertFeedForward
        {
            Experts = experts,
            Width = reader.Positive("moe_intermediate_size", 1408),
            Activation = config.Activation,
            Router = MixtureKeys.Router(reader, experts, reader.Bool("norm_topk_prob"), 4),
            Shared = new DenseFeedForward { Path = "mlp.shared_expert", Width = reader.Positive("shared_expert_intermediate_size", 5632),
                Activation = config.Activation },
            SharedGateName = "shared_expert_gate",
        });
    }
}
