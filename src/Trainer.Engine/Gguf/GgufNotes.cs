using System.Globalization;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>What llama.cpp does otherwise than the model, said beside a file that it loads.</summary>
public static class GgufNotes
{
    /// <summary>A sliding window that llama.cpp does not have for the family, or null.</summary>
    /// <param name="config">The model.</param>
    public static string? Window(ModelConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var window = config.Layers.Select(layer => layer.SlidingWindow).FirstOrDefault(one => one is not null);
        var hasWindows = config.ModelType is "olmo3" or "cohere2" or "exaone4"
            || GgufArchitecture.Of(config)?.Name is "gemma3n" or "gemma2" or "gemma3" or "gemma4" or "gpt-oss";
        return window < config.MaxPositions && !hasWindows
            ? $"the model attends to {window} tokens back, llama.cpp to all of them: texts longer than that come out otherwise"
            : null;
    }

    /// <summary>Another epsilon of the norms on latents than llama.cpp takes, or null.</summary>
    /// <param name="config">The model.</param>
    public static string? LatentNorms(ModelConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        return config.Layers.Select(layer => layer.Mixer).OfType<LatentAttention>().FirstOrDefault() is { } latent
            && Math.Abs(latent.LatentNorm.Epsilon - config.NormEpsilon) > 1e-12
            ? string.Create(CultureInfo.InvariantCulture, $"the model norms its latents with an epsilon of {latent.LatentNorm.Epsilon}, llama.cpp with "
                + $"{config.NormEpsilon}, as all its norms: logits differ in their last digits")
            : null;
    }
}
