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

    /// <summary>The block of experts that DeepSeek V3 brought.</summary>
    public static ExpertFeedForward Experts(ConfigReader reader, ModelConfig config)
    {
        var (experts, width, groups) = (reader.Positive("n_routed_experts"), reader.Positive("moe_intermediate_size"), reader.Positive("n_group", 1));
        if (experts % groups != 0) throw reader.Fault("n_group", $"is {groups}, which does not divide n_routed_experts {experts}");
        var chosenGroups = reader.Positive("topk_group", 1);
        if (chosenGroups > groups) throw reader.Fault("topk_group", $"is {chosenGroups}, the experts are in {groups} groups");
        return new ExpertFeedForward
        {
            Experts = experts,
            Width = width,
            Activation = config.Activation,
            Router = MixtureKeys.Router(reader, experts, reader.Bool("norm_topk_prob", true), balance: null) with
            {
                Scores = RouterScores.Sigmoid,
                HasCorrection = true,
                Groups = groups,
                ChosenGroups = chosenGroups,
                Scale = reader.Number("routed_scaling_factor", 1),
            },
            Shared = new DenseFeedForward { Path = "mlp.shared_experts", Width = width * reader.Positive("n_shared_experts", 1),
                Activation = config.Activation },
        };
    }
}
