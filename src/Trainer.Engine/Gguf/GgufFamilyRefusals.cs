using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>What llama.cpp fixes for the smaller families.</summary>
internal static class GgufFamilyRefusals
{
    /// <summary>Why llama.cpp would compute something else, or null.</summary>
    public static string? Of(ModelConfig config) => config.ModelType switch
    {
        "arcee" => Activation(config, Models.Config.Activation.ReluSquared) ?? Biases(config),
        "nemotron" => Activation(config, Models.Config.Activation.ReluSquared),
        "starcoder2" => Activation(config, Models.Config.Activation.GeluTanh)
            ?? (config is { QkvBias: true, OutputBias: true, MlpBias: true } ? null : "it lacks biases, llama.cpp's starcoder2 has them"),
        "phi" => Activation(config, Models.Config.Activation.GeluTanh),
        "cohere" or "ernie4_5" or "hunyuan_v1_dense" or "olmo3" => Biases(config),
        "cohere2" => Biases(config) ?? GgufRefusals.Windows(config, layer => (layer + 1) % 4 != 0, "three of four layers"),
        "glm4" or "seed_oss" => config.OutputBias || config.MlpBias ? "it has biases on its outputs, llama.cpp has none there" : null,
        "exaone4" => Exaone4(config),
        "lfm2" when config.Layers.Any(layer => layer.Mixer is ShortConvolution { HasBias: true }) => "its convolutions have biases, llama.cpp's have none",
        "glm4_moe" => Glm4Moe(config),
        "apertus" => Biases(config) ?? Activation(config, Models.Config.Activation.Xielu),
        _ => GgufHybridRefusals.Of(config),
    };

    private static string? Biases(ModelConfig config)
        => config.QkvBias || config.OutputBias || config.MlpBias ? "it has biases, llama.cpp has none for the family" : null;

    private static string? Activation(ModelConfig config, Activation right)
        => config.Activation == right ? null : $"its activation is {config.Activation}, llama.cpp computes {right}";

    // Windows belong to the large model alone, which llama.cpp tells by its layers.
    private static string? Exaone4(ModelConfig config)
    {
        if (config.Layers.All(layer => layer.SlidingWindow is null)) return null;
        return config.LayerCount == 64 ? GgufRefusals.Windows(config, layer => (layer + 1) % 4 != 0, "three of four layers")
            : $"it has windows and {config.LayerCount} layers, llama.cpp has windows in the model of 64 layers alone";
    }

    private static string? Glm4Moe(ModelConfig config)
    {
        var dense = config.Layers.TakeWhile(layer => layer.FeedForward is DenseFeedForward).Count();
        if (config.Experts is not { } experts || config.Layers.Skip(dense).Any(layer => layer.FeedForward is not ExpertFeedForward))
            return "its layers with experts do not follow the dense ones";
        if (experts.Router.Groups > 1) return "its experts are in groups, llama.cpp's glm4moe has none";
        return experts.Shared!.Width % experts.Width == 0 ? null : "the width of its block for all tokens is no multiple of an expert's";
    }
}
