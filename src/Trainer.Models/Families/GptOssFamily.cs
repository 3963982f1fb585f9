using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>gpt-oss: attention sinks, biases, a window in every other layer, experts with clamped activations.</summary>
internal static class GptOssFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { HeadSize = 64, Heads = 64, KvHeads = 8, Epsilon = 1e-5, Theta = 150_000 });
        var (bias, experts) = (reader.Bool("attention_bias", true), MixtureKeys.Experts(reader, 128));
        var rope = reader.Has("rope_scaling") || reader.Has("rope_parameters") ? config.Ropes[0]
            : config.Ropes[0] with { Kind = RopeKind.Yarn, Factor = 32, OriginalMaxPositions = 4096, Truncate = false };
        return (config with { Ropes = [rope] })
            .WithWindows(reader, reader.Positive("sliding_window", 128), l => l % 2 == 0)
            .WithAttention(attention => attention with { QkvBias = bias, OutputBias = bias, HasSinks = true })
            .WithExperts(_ => true, new ExpertFeedForward
            {
                Experts = experts,
                Width = config.IntermediateSize,
                IsTransposed = true,
                IsClamped = true,
                Router = MixtureKeys.Router(reader, experts, isNormalized: true, 4, 0.9) with { Name = "router", HasBias = true },
            });
    }
}
