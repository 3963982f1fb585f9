using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>model_type to the function that describes such a model.</summary>
internal static class FamilyTable
{
    public static IReadOnlyDictionary<string, Func<ConfigReader, string, ModelConfig>> Families { get; } =
        new Dictionary<string, Func<ConfigReader, string, ModelConfig>>(StringComparer.Ordinal)
    {
        ["apertus"] = ApertusFamily.Describe,
        ["arcee"] = ArceeFamily.Describe,
        ["cohere"] = CohereFamily.Describe,
        ["cohere2"] = CohereFamily.DescribeSecond,
        ["deepseek_v3"] = DeepSeekV3Family.Describe,
        ["ernie4_5"] = Ernie45Family.Describe,
        ["exaone4"] = Exaone4Family.Describe,
        ["falcon_h1"] = FalconH1Family.Describe,
        ["gemma"] = GemmaFamily.Describe,
        ["gemma2"] = Gemma2Family.Describe,
        ["gemma3_text"] = Gemma3Family.Describe,
        ["gemma3n_text"] = Gemma3nFamily.Describe,
        ["gemma4_text"] = Gemma4Family.Describe,
        ["glm4"] = Glm4Family.Describe,
        ["glm4_moe"] = Glm4MoeFamily.Describe,
        ["glm4_moe_lite"] = DeepSeekV3Family.DescribeGlm,
        ["gpt_oss"] = GptOssFamily.Describe,
        ["granite"] = GraniteFamily.Describe,
        ["granitemoe"] = GraniteMoeFamily.Describe,
        ["granitemoehybrid"] = GraniteHybridFamily.Describe,
        ["hunyuan_v1_dense"] = HunyuanFamily.Describe,
        ["lfm2"] = Lfm2Family.Describe,
        ["lfm2_moe"] = Lfm2Family.DescribeExperts,
        ["llama"] = LlamaFamily.Describe,
        ["llama4_text"] = Llama4Family.Describe,
        ["ministral3"] = Ministral3Family.Describe,
        ["mistral"] = MistralFamily.Describe,
        ["mixtral"] = MixtralFamily.Describe,
        ["nemotron"] = NemotronFamily.Describe,
        ["nemotron_h"] = NemotronHFamily.Describe,
        ["olmo2"] = Olmo2Family.Describe,
        ["olmo3"] = Olmo3Family.Describe,
        ["olmoe"] = OlmoeFamily.Describe,
        ["phi"] = PhiFamily.Describe,
        ["phi3"] = Phi3Family.Describe,
        ["qwen2"] = Qwen2Family.Describe,
        ["qwen2_5_vl_text"] = Qwen2Family.DescribeVision,
        ["qwen2_vl_text"] = Qwen2Family.DescribeVision,
        ["qwen2_moe"] = Qwen2MoeFamily.Describe,
        ["qwen3"] = Qwen3Family.Describe,
        ["qwen3_5_moe_text"] = Qwen35Family.DescribeExperts,
        ["qwen3_5_text"] = Qwen35Family.Describe,
        ["qwen3_moe"] = Qwen3MoeFamily.Describe,
        ["qwen3_next"] = Qwen35Family.DescribeNext,
        ["qwen3_vl_moe_text"] = Qwen3MoeFamily.DescribeVision,
        ["qwen3_vl_text"] = Qwen3Family.DescribeVision,
        ["seed_oss"] = SeedOssFamily.Describe,
        ["smollm3"] = SmolLm3Family.Describe,
        ["stablelm"] = StableLmFamily.Describe,
        ["starcoder2"] = Starcoder2Family.Describe,
    };
}
