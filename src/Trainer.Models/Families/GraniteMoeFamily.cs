using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Granite with experts in every layer.</summary>
internal static class GraniteMoeFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = GraniteFamily.Describe(reader, type);
        return config.WithExperts(_ => true, Experts(reader, config, MixtureKeys.Experts(reader, 8)));
    }

    /// <summary>The block of experts, all in two tensors.</summary>
    public static ExpertFeedForward Experts(ConfigReader reader, ModelConfig config, int experts) => new()
    {
        Path = "block_sparse_moe",
        ExpertsName = "",
        Names = new("gate_proj", "up_proj", "down_proj", "input_linear.weight", "output_linear.weight"),
        Experts = experts,
        Width = config.IntermediateSize,
        Activation = config.Activation,
        Router = MixtureKeys.Router(reader, experts, isNormalized: true, 2) with { Name = "router.layer" },
    };
}
