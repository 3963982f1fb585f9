using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Qwen 2 and 2.5: biases on q, k and v; perhaps a sliding window in the upper layers.</summary>
internal static class Qwen2Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
        => Windows(FamilyBase.Common(reader, type, new FamilyDefaults { KvHeadsRequired = true }), reader)
        .WithAttention(attention => attention with { QkvBias = true });

    /// <summary>The text model of Qwen 2 VL and 2.5 VL, whose rotary base is another where config.json leaves it out.</summary>
    public static ModelConfig DescribeVision(ConfigReader reader, string type) =>
        Windows(FamilyBase.Common(reader, type, new FamilyDefaults { KvHeadsRequired = true, Theta = 1_000_000 }), reader)
        .WithAttention(attention => attention with { QkvBias = true });

    /// <summary>Qwen's rule: a window only where use_sliding_window says so, from max_window_layers upwards.</summary>
    public static ModelConfig Windows(ModelConfig config, ConfigReader reader)
    {
        var window = reader.Bool("use_sliding_window") ? reader.PositiveOrNull("sliding_window") : null;
        if (window is null) return config;
        var first = reader.Int("max_window_layers", 28);
        return config.WithWindows(reader, window, l => l >= first);
    }
}
