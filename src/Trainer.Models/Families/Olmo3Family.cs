using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>OLMo 3: OLMo 2 with a window in three of four layers; a scaled rotary embedding belongs to the full layers alone (the paper, transformers 4,
/// llama.cpp).</summary>
internal static class Olmo3Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = Olmo2Family.Describe(reader, type);
        var scaled = config.Ropes[0];
        var plain = new RopeConfig { Theta = scaled.Theta, Dimensions = scaled.Dimensions, MaxPositions = scaled.MaxPositions };
        return (config with { Ropes = [scaled, plain] }).WithWindows(reader, reader.Positive("sliding_window", 4096), l => (l + 1) % 4 != 0, slidingRope: 1);
    }
}
