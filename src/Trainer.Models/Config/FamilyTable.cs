namespace Trainer.Models;

/// <summary>model_type to the function that describes such a model.</summary>
internal static class FamilyTable
{
    public static IReadOnlyDictionary<string, Func<ConfigReader, string, ModelConfig>> Families { get; } = new Dictionary<string, Func<ConfigReader, string, ModelConfig>>(StringComparer.Ordinal)
    {
        ["llama"] = LlamaFamily.Describe,
        ["mistral"] = MistralFamily.Describe,
        ["qwen2"] = Qwen2Family.Describe,
        ["qwen3"] = Qwen3Family.Describe,
        ["phi3"] = Phi3Family.Describe,
        ["gemma"] = GemmaFamily.Describe,
        ["gemma2"] = Gemma2Family.Describe,
        ["gemma3_text"] = Gemma3Family.Describe,
        ["granite"] = GraniteFamily.Describe,
        ["smollm3"] = SmolLm3Family.Describe,
        ["olmo2"] = Olmo2Family.Describe,
    };
}
