using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Arcee (AFM): Llama without a gate, its activation the square of ReLU.</summary>
internal static class ArceeFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type) =>
        LlamaFamily.Describe(reader, type, new FamilyDefaults { Epsilon = 1e-5, Activation = "relu2" })
        .WithFeedForward(block => block with { IsGated = false });
}
