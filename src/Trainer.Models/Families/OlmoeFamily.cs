using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>OLMoE: experts in every layer, norms on queries and keys over all heads, perhaps clamped projections.</summary>
internal static class OlmoeFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = LlamaFamily.Describe(reader, type, new FamilyDefaults { Epsilon = 1e-5 });
        var (clip, experts) = (reader.NumberOrNull("clip_qkv"), MixtureKeys.Experts(reader, 64));
        return config.WithAttention(attention => attention with { QkNorm = QkNorm.FullWidth, Clip = clip }).WithExperts(_ => true, new ExpertFeedForward
        {
            Experts = experts,
            Width = config.IntermediateSize,
            Activation = config.Activation,
            Router = MixtureKeys.Router(reader, experts, reader.Bool("norm_topk_prob"), 8, 0.01),
        });
    }
}
