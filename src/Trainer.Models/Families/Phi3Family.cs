namespace Trainer.Models;

/// <summary>Phi-3 and Phi-4-mini: fused projections, partial rotary embedding, LongRoPE, a sliding window.</summary>
internal static class Phi3Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, epsilon: 1e-5, partialRotary: true);
        var window = reader.IntOrNull("sliding_window");
        return config with
        {
            FusedProjections = true,
            Layers = FamilyBase.Windows(reader, config.LayerCount, window, _ => window is not null),
        };
    }
}
