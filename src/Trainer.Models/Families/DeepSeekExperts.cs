using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>The block of experts that DeepSeek V3 brought: sigmoid scores with a correction, groups, one block for all tokens.</summary>
internal static class DeepSeekExperts
{
    /// <summary>The block, without the one for all tokens.</summary>
    public static ExpertFeedForward Read(ConfigReader reader, Activation activation)
    {
        var (experts, width, groups) = (reader.Positive("n_routed_experts"), reader.Positive("moe_intermediate_size"), reader.Positive("n_group", 1));
        if (experts % groups != 0) throw reader.Fault("n_group", $"is {groups}, which does not divide n_routed_experts {experts}");
        var chosenGroups = reader.Positive("topk_group", 1);
        if (chosenGroups > groups) throw reader.Fault("topk_group", $"is {chosenGroups}, the experts are in {groups} groups");
        return new ExpertFeedForward
        {
            Experts = experts,
            Width = width,
            Activation = activation,
            Router = MixtureKeys.Router(reader, experts, reader.Bool("norm_topk_prob", true), 2, balance: null) with
            {
                Scores = RouterScores.Sigmoid,
                HasCorrection = true,
                Groups = groups,
                ChosenGroups = chosenGroups,
                Scale = reader.Number("routed_scaling_factor", 1),
            },
        };
    }
}
