using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Apertus: norms on each head, no gate, and an activation with learned slopes.</summary>
internal static class ApertusFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type) =>
        LlamaFamily.Describe(reader, type, new FamilyDefaults { Epsilon = 1e-5, Theta = 12_000_000, Activation = "xielu" })
            .WithAttention(attention => attention with { QkNorm = QkNorm.PerHead })
            .WithFeedForward(block => block with { IsGated = false })
            .WithLayers((layer, _) => layer with { Norms = new("attention_layernorm", null, "feedforward_layernorm", null) });
}
