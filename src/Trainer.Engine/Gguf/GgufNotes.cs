using Trainer.Models.Config;

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
            || GgufArchitecture.Of(config.ModelType)?.Name is "gemma2" or "gemma3" or "gemma4" or "gpt-oss";
        return window < config.MaxPositions && !hasWindows
            ? $"the model attends to {window} tokens back, llama.cpp to all of them: texts longer than that come out otherwise"
            : null;
    }
}
