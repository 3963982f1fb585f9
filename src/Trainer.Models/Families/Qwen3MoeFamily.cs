using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Qwen 3 with experts.</summary>
internal static class Qwen3MoeFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = Qwen3Family.Describe(reader, type);
        // Where the window is used it is used in every layer.
        if (reader.Bool("use_sliding_window") && reader.PositiveOrNull("sliding_window") is { } window)
            config = config.WithAttention(attention => attention with { Window = window });
        var experts = MixtureKeys.Experts(reader, 128);
        return config.WithExperts(MixtureKeys.Sparse(reader, config.LayerCount), new ExpertFeedForward
        {
            Experts = experts,
            Width = reader.Positive("moe_intermediate_size", 768),
            Activation = config.Activation,
            Router = MixtureKeys.Router(reader, experts, reader.Bool("norm_topk_prob"), 8),
        });
    }

    /// <summary>The text model of Qwen 3 VL with experts: scores are always divided by their sum, and matrices lie transposed on disk.</summary>
    public static ModelConfig DescribeVision(ConfigReader reader, string type)
    {
        var config = Qwen3Family.DescribeVision(reader, type);
        var experts = MixtureKeys.Experts(reader, 60);
        return config.WithExperts(MixtureKeys.Sparse(reader, config.LayerCount), new ExpertFeedForward
        {
            Experts = experts,
            Width = reader.Positive("moe_intermediate_size", 1408),
            Activation = config.Activation,
            IsTransposed = true,
            Router = MixtureKeys.Router(reader, experts, isNormalized: true, 4),
        });
    }
}
