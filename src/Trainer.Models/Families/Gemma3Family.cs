using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Gemma 3 (text): as Gemma 2 with norms on queries and keys, five local layers to one global, each kind with its own rotary base.</summary>
internal static class Gemma3Family
{
    private static readonly FamilyDefaults Defaults = new() { HiddenSize = 2304, VocabularySize = 262_208, Heads = 8, KvHeads = 4 };

    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = Gemma2Family.Describe(reader, type, Defaults);
        var pattern = reader.Positive("sliding_window_pattern", reader.Positive("_sliding_window_pattern", 6));
        var global = RopeReader.Read(reader, config.HeadSize, 1_000_000, layerType: "full_attention");
        var local = reader.Has("rope_parameters")
            ? RopeReader.Read(reader, config.HeadSize, 10_000, layerType: "sliding_attention")
            // Scaling applies to the global layers alone.
            : new RopeConfig { Theta = reader.PositiveNumber("rope_local_base_freq", 10_000), Dimensions = config.HeadSize,
                MaxPositions = config.MaxPositions };
        return (config with { Ropes = [global, local] })
            .WithWindows(reader, reader.Positive("sliding_window", 4096), l => (l + 1) % pattern != 0, slidingRope: 1)
            .WithAttention(attention => attention with { QkNorm = QkNorm.PerHead });
    }
}
