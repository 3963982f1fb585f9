namespace Trainer.Models;

/// <summary>Qwen 2 and 2.5: biases on q, k and v; perhaps a sliding window in the upper layers.</summary>
internal static class Qwen2Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, kvHeadsRequired: true);
        return config with { QkvBias = true, Layers = Windows(reader, config.LayerCount) };
    }

    /// <summary>Qwen's rule: a window only where use_sliding_window says so, from max_window_layers upwards.</summary>
    public static IReadOnlyList<LayerConfig> Windows(ConfigReader reader, int layers)
    {
        var window = reader.Bool("use_sliding_window") ? reader.IntOrNull("sliding_window") : null;
        if (window is null) return [.. Enumerable.Repeat(new LayerConfig(null, 0), layers)];
        var first = reader.Int("max_window_layers", 28);
        return FamilyBase.Windows(reader, layers, window, l => l >= first);
    }
}
