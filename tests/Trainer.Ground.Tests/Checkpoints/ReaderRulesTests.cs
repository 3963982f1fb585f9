using Trainer.Checkpoints.Inspect;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Ground.Tests.Checkpoints;

[Trait("ring", "unit")]
public sealed class ReaderRulesTests
{
    private const string Prefix = "base_model.model.";

    private static List<TensorDeclaration> Pair(string module, int rank = 8) =>
        [new($"{Prefix}{module}.lora_A.weight", SafetensorsDtype.F32, [rank, 16]), new($"{Prefix}{module}.lora_B.weight", SafetensorsDtype.F32, [16, rank])];

    private static string Judge(string config, IEnumerable<TensorDeclaration> tensors, string? family = "llama", bool? tied = false)
    {
        using var temp = new TempFolder();
        temp.Write(AdapterConfig.FileName, config);
        return string.Join(" | ", ReaderRules.Judge(AdapterConfig.Read(temp.Path), [.. tensors], family, tied)
            .Select(one => $"{one.Reader} {(one.Loads ? "yes" : "no")} {string.Join(", ", one.Reasons)}{one.Note}"));
    }

    [Fact]
    public void A_plain_adapter_loads_everywhere()
    {
        var verdict = Judge("""{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":["q_proj"]}""", Pair("model.layers.0.self_attn.q_proj"));
        Assert.Contains("PEFT yes", verdict);
        Assert.Contains("vLLM yes", verdict);
        Assert.Contains("llama.cpp yes", verdict);
    }

    [Theory]
    [InlineData("""{"r":8,"lora_alpha":16,"target_modules":["q_proj"],"use_dora":true}""", "vLLM no it refuses DoRA", "llama.cpp no it has no DoRA")]
    [InlineData("""{"r":8,"lora_alpha":16,"target_modules":["q_proj"],"modules_to_save":["lm_head"]}""", "vLLM no it refuses modules_to_save (lm_head)",
        "llama.cpp no it takes no whole modules (lm_head)")]
    [InlineData("""{"r":8,"lora_alpha":16,"target_modules":["q_proj"],"bias":"all"}""", "vLLM no it takes no trained biases", "PEFT yes")]
    [InlineData("""{"r":8,"lora_alpha":16,"target_modules":["q_proj"],"bias":"lora_only"}""",
        "PEFT yes PEFT 0.20 trains these biases but neither writes nor reads them", "vLLM no")]
    [InlineData("""{"r":8,"lora_alpha":16,"target_modules":["q_proj"],"alpha_pattern":{"k_proj":4}}""", "would scale those modules wrongly",
        "llama.cpp no its file has one alpha")]
    [InlineData("""{"r":8,"lora_alpha":16,"target_modules":["q_proj"],"use_rslora":true}""", "vLLM yes", "leaves out the square root of rsLoRA")]
    [InlineData("""{"r":8,"target_modules":["q_proj"]}""", "vLLM no it needs r, lora_alpha", "PEFT yes")]
    [InlineData("""{"r":8,"lora_alpha":16}""", "PEFT no adapter_config.json has no target_modules", "vLLM no")]
    public void Each_reader_says_why_not(string config, string one, string two)
    {
        var verdict = Judge(config, [.. Pair("model.layers.0.self_attn.q_proj"), .. Pair("model.layers.0.self_attn.k_proj")]);
        Assert.Contains(one, verdict);
        Assert.Contains(two, verdict);
    }

    [Fact]
    public void Ranks_above_the_default_need_an_option_of_vLLM()
    {
        const string config = """{"r":20,"lora_alpha":16,"target_modules":["q_proj"]}""";
        Assert.Contains("--max-lora-rank 32", Judge(config, Pair("model.layers.0.self_attn.q_proj", 20)));
        Assert.Contains("rank 600 is above its largest", Judge(config, Pair("model.layers.0.self_attn.q_proj", 600)));
    }

    [Fact]
    public void Extra_tensors_tied_heads_and_unknown_families_are_refused_by_llama_cpp()
    {
        const string config = """{"r":8,"lora_alpha":16,"target_modules":["q_proj"]}""";
        Assert.Contains("the adapter holds 'base_model.model.model.norm.weight'",
            Judge(config, [.. Pair("model.layers.0.self_attn.q_proj"), new(Prefix + "model.norm.weight", SafetensorsDtype.F32, [4])]));
        Assert.Contains("tied embeddings", Judge(config, Pair("lm_head"), tied: true));
        Assert.Contains("llama.cpp yes", Judge(config, Pair("lm_head"), tied: false));
        Assert.Contains("model_type 'mamba'", Judge(config, Pair("model.layers.0.self_attn.q_proj"), "mamba"));
    }

    [Fact]
    public void Ranks_that_differ_share_an_alpha_without_rsLoRA_and_not_with_it()
    {
        List<TensorDeclaration> tensors = [.. Pair("model.layers.0.self_attn.q_proj", 4), .. Pair("model.layers.0.self_attn.k_proj", 9)];
        Assert.Contains("llama.cpp yes", Judge("""{"r":4,"lora_alpha":16,"target_modules":["q_proj"],"rank_pattern":{"k_proj":9}}""", tensors));
        Assert.Contains("one alpha", Judge("""{"r":4,"lora_alpha":16,"target_modules":["q_proj"],"rank_pattern":{"k_proj":9},"use_rslora":true}""", tensors));
    }
}
