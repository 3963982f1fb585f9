using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Mixtral: Mistral with experts in every layer; the folder calls their block otherwise than the module tree.</summary>
internal static class MixtralFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { KvHeadsRequired = true, Epsilon = 1e-5, Theta = 1_000_000 });
        var (window, experts) = (reader.PositiveOrNull("sliding_window"), MixtureKeys.Experts(reader, 8));
        return config.WithWindows(reader, window, _ => window is not null).WithExperts(_ => true, new ExpertFeedForward
        {
            StoredPath = "block_sparse_moe",
            Names = new("w1", "w3", "w2", "gate_up_proj", "down_proj"),
            Experts = experts,
            Width = config.IntermediateSize,
            Activation = config.Activation,
            Router = MixtureKeys.Router(reader, experts, isNormalized: true, 2),
        });
    }
}
