using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Gemma (first generation): norm weights minus one, scaled embeddings, GELU.</summary>
internal static class GemmaFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type) => Describe(reader, type, new FamilyDefaults { KvHeadsRequired = true });

    public static ModelConfig Describe(ConfigReader reader, string type, FamilyDefaults defaults)
    {
        var config = FamilyBase.Common(reader, type, defaults with { HeadSize = 256, Tied = true });
        var (bias, activation) = (reader.Bool("attention_bias"), ReadActivation(reader));
        return (config with { EmbeddingMultiplier = Math.Sqrt(config.HiddenSize) })
            .WithNorm(norm => norm with { WeightPlusOne = true })
            .WithAttention(attention => attention with { QkvBias = bias, OutputBias = bias })
            .WithFeedForward(block => block with { Activation = activation });
    }

    // The first configs say hidden_act "gelu" and mean the tanh form; hidden_activation overrides it where given.
    public static Activation ReadActivation(ConfigReader reader)
    {
        var activation = FamilyBase.ReadActivation(reader, reader.Has("hidden_activation") ? "hidden_activation" : "hidden_act", "gelu_pytorch_tanh");
        return activation == Activation.Gelu ? Activation.GeluTanh : activation;
    }
}
