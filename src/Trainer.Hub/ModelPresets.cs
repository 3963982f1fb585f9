namespace Trainer.Hub;

/// <summary>The short names.</summary>
public static class ModelPresets
{
    /// <summary>Every preset, smallest model first.</summary>
    public static IReadOnlyList<ModelPreset> All { get; } =
    [
        new("hermes-mistral-7b", "NousResearch/Hermes-2-Pro-Mistral-7B", "7B, Mistral v0.1, chat and tools"),
        new("dolphin-8b", "cognitivecomputations/dolphin-2.9-llama3-8b", "8B, Llama 3, ChatML"),
        new("llama-8b", "mlabonne/Meta-Llama-3.1-8B-Instruct-abliterated", "8B, Llama 3.1 instruct without refusals"),
        new("r1-distill-14b", "huihui-ai/DeepSeek-R1-Distill-Qwen-14B-abliterated-v2", "14B, Qwen 2.5, reasoning without refusals"),
        new("r1-distill-32b", "huihui-ai/DeepSeek-R1-Distill-Qwen-32B-abliterated", "32B, Qwen 2.5, reasoning without refusals"),
        new("r1-distill-70b", "huihui-ai/DeepSeek-R1-Distill-Llama-70B-abliterated", "70B, Llama 3.3, reasoning without refusals"),
        new("dolphin-70b", "cognitivecomputations/dolphin-2.9.4-llama3.1-70b", "70B, Llama 3.1, ChatML"),
        new("hermes-70b", "NousResearch/Hermes-3-Llama-3.1-70B", "70B, Llama 3.1, chat and tools"),
    ];

    /// <summary>The preset of a name, or null.</summary>
    public static ModelPreset? Find(string name) => All.FirstOrDefault(preset => string.Equals(preset.Name, name, StringComparison.OrdinalIgnoreCase));
}
