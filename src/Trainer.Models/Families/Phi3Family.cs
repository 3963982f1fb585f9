using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Phi-3 and Phi-4-mini: fused projections, partial rotary embedding, LongRoPE, a sliding window.</summary>
internal static class Phi3Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { Epsilon = 1e-5, RotaryShare = 1 });
        var window = reader.PositiveOrNull("sliding_window");
        return config.WithWindows(reader, window, _ => window is not null)
            .WithAttention(attention => attention with { IsFused = true })
            .WithFeedForward(block => block with { FusedName = "gate_up_proj" });
    }
}
