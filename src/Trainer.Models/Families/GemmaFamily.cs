namespace Trainer.Models;

/// <summary>Gemma (first generation): norm weights minus one, scaled embeddings, GELU.</summary>
internal static class GemmaFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, headSize: 256, kvHeadsRequired: true, tied: true);
        var bias = reader.Bool("attention_bias");
        return config with
        {
            NormWeightPlusOne = true,
            EmbeddingMultiplier = Math.Sqrt(config.HiddenSize),
            Activation = ReadActivation(reader),
            QkvBias = bias,
            OutputBias = bias,
        };
    }

    // The first configs say hidden_act "gelu" and mean the tanh form; hidden_activation overrides it where given.
    public static Activation ReadActivation(ConfigReader reader)
    {
        var activation = FamilyBase.ReadActivation(reader, reader.Has("hidden_activation") ? "hidden_activation" : "hidden_act", "gelu_pytorch_tanh");
        return activation == Activation.Gelu ? Activation.GeluTanh : activation;
    }
}
