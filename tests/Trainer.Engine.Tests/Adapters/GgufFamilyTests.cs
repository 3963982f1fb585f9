using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Trainer.Adapters;
using Trainer.Adapters.Export;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Gguf;
using Trainer.Engine.Tests.Models;
using Trainer.Models;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>What differs between families in a GGUF file. That llama.cpp continues texts as this program does was seen for each with its
/// llama-completion.</summary>
[Trait("ring", "model")]
public sealed class GgufFamilyTests : IDisposable
{
    private readonly string _temp = Directory.CreateTempSubdirectory("trainer-test-").FullName;

    private string Target => Path.Combine(_temp, "out.gguf");

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory]
    [InlineData("gemma", "gemma", "blk.1.ffn_norm.weight", "model.layers.1.post_attention_layernorm.weight", 1)]
    [InlineData("gemma2", "gemma2", "blk.1.post_attention_norm.weight", "model.layers.1.post_attention_layernorm.weight", 1)]
    [InlineData("gemma2", "gemma2", "blk.0.post_ffw_norm.weight", "model.layers.0.post_feedforward_layernorm.weight", 1)]
    [InlineData("gemma2", "gemma2", "blk.0.ffn_norm.weight", "model.layers.0.pre_feedforward_layernorm.weight", 1)]
    [InlineData("gemma3", "gemma3", "blk.0.attn_q_norm.weight", "model.layers.0.self_attn.q_norm.weight", 1)]
    [InlineData("phi3", "phi3", "blk.0.attn_qkv.weight", "model.layers.0.self_attn.qkv_proj.weight", 0)]
    [InlineData("phi3", "phi3", "blk.0.ffn_up.weight", "model.layers.0.mlp.gate_up_proj.weight", 0)]
    [InlineData("granite", "granite", "blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight", 0)]
    [InlineData("olmo2", "olmo2", "blk.0.attn_k.weight", "model.layers.0.self_attn.k_proj.weight", 0)]
    [InlineData("olmo2", "olmo2", "blk.0.post_attention_norm.weight", "model.layers.0.post_attention_layernorm.weight", 0)]
    public void A_tensor_has_its_place_and_Gemma_s_norms_their_one(string model, string architecture, string name, string source, float shift)
    {
        using var file = Exported(model, Fitted);
        Assert.Equal(architecture, file.Text("general.architecture"));
        var written = MemoryMarshal.Cast<byte, float>(file.Read(file.ByName[name])).ToArray();
        Assert.Equal(Values(model, source).Select(value => value + shift), written);
    }

    [Theory]
    [InlineData("granite", "blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight")]
    [InlineData("smollm3", "blk.0.attn_k.weight", "model.layers.0.self_attn.k_proj.weight")]
    public void Families_that_llama_cpp_rotates_in_pairs_have_their_rows_in_pairs(string model, string name, string source)
    {
        using var file = Exported(model, Fitted);
        var written = MemoryMarshal.Cast<byte, float>(file.Read(file.ByName[name])).ToArray();
        Assert.Equal(RotaryOrder.Interleave(Values(model, source), 16, 64), written);
    }

    [Theory]
    [InlineData("granite", "granite.logit_scale", 2f)]
    [InlineData("granite", "granite.attention.scale", 0.3f)]
    [InlineData("granite", "granite.embedding_scale", 3f)]
    [InlineData("granite", "granite.residual_scale", 0.7f)]
    [InlineData("gemma2", "gemma2.attn_logit_softcapping", 5f)]
    [InlineData("gemma2", "gemma2.final_logit_softcapping", 3f)]
    [InlineData("gemma2", "gemma2.attention.sliding_window", 8u)]
    [InlineData("gemma3", "gemma3.rope.freq_base", 1_000_000f)]
    [InlineData("gemma", "gemma.attention.key_length", 16u)]
    [InlineData("phi3", "phi3.attention.sliding_window", 0u)]
    [InlineData("phi3_partial_longrope", "phi3.rope.dimension_count", 12u)]
    [InlineData("phi3_partial_longrope", "phi3.rope.scaling.original_context_length", 32u)]
    public void A_key_has_the_config_s_value(string model, string key, object value)
    {
        using var file = Exported(model, Fitted);
        Assert.Equal(value, file.Find(key)!.Value);
    }

    [Fact]
    public void LongRope_writes_both_lists_and_the_multiplier()
    {
        using var file = Exported("phi3_partial_longrope", _ => { });
        Assert.Equal([1f, 1.5f, 2.5f, 4f, 6f, 8f], MemoryMarshal.Cast<byte, float>(file.Read(file.ByName["rope_factors_long.weight"])).ToArray());
        Assert.Equal([1f, 1.1f, 1.2f, 1.3f, 1.4f, 1.5f], MemoryMarshal.Cast<byte, float>(file.Read(file.ByName["rope_factors_short.weight"])).ToArray());
        Assert.Equal((float)Math.Sqrt(1 + Math.Log(4) / Math.Log(32)), file.Find("phi3.rope.scaling.attn_factor")!.Value);
    }

    [Theory]
    [InlineData("gemma2", "query_pre_attn_scalar", "24", "query_pre_attn_scalar is not 16")]
    [InlineData("gemma2", "attn_logit_softcapping", "null", "lacks a soft cap")]
    [InlineData("gemma2", "layer_types", "[\"full_attention\",\"full_attention\"]", "its layer 0 is global")]
    [InlineData("gemma3", "rope_local_base_freq", "20000", "base other than 10000")]
    [InlineData("gemma3", "layer_types", "[\"sliding_attention\",\"full_attention\",\"sliding_attention\"]", "its layer 1 is global")]
    [InlineData("gemma", "tie_word_embeddings", "false", "has a head of its own")]
    [InlineData("smollm3", "no_rope_layers", "[1,0]", "its layer 1 lacks the rotary embedding")]
    [InlineData("granite", "head_dim", "32", "not as wide as the model")]
    [InlineData("llama2", "hidden_act", "\"gelu\"", "its activation is Gelu")]
    [InlineData("olmo2", "rope_scaling", "{\"rope_type\":\"dynamic\",\"factor\":2}", "scales its rotary embedding as 'Dynamic'")]
    public void What_llama_cpp_would_compute_otherwise_is_refused_by_name(string model, string key, string value, string why)
    {
        var fault = Assert.Throws<ModelException>(() => Exported(model, config =>
        {
            Fitted(config);
            config[key] = JsonNode.Parse(value);
        }));
        Assert.Contains(why, fault.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Target));
    }

    [Fact]
    public void A_config_that_the_tensors_contradict_is_refused_by_the_tensor_and_not_read_by_its_counts()
    {
        var fault = Assert.Throws<ModelException>(() =>
            Exported("llama31", config => config["num_key_value_heads"] = config["num_attention_heads"]!.DeepClone()));
        Assert.Contains("self_attn.k_proj.weight' of", fault.Message, StringComparison.Ordinal);
        Assert.Contains("config.json needs [", fault.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Target));
    }

    [Theory]
    [InlineData("my-Phi3-tune", false)]
    [InlineData("my-tune", true)]
    public void A_name_that_would_keep_llama_cpp_from_loading_is_left_out(string name, bool isKept)
    {
        using var file = Exported("phi3", _ => { }, name);
        Assert.Equal(isKept ? name : null, file.Find("general.name")?.Value);
    }

    [Fact]
    public void An_adapter_of_the_embedding_has_a_row_of_A_for_each_token_and_none_of_the_copies()
    {
        var adapter = Golden.Folder("lora", "llama31_embedding_head", "adapter_final");
        Assert.Equal(10, GgufAdapterExporter.Export(Golden.Folder("llama31"), adapter, Target));
        using var file = GgufFile.Open(Target);
        using var source = SafetensorsFile.Open(Path.Combine(adapter, PeftFolder.WeightsFile));
        var a = Golden.Floats(source, "base_model.model.model.embed_tokens.lora_embedding_A");
        var written = MemoryMarshal.Cast<byte, float>(file.Read(file.ByName["token_embd.weight.lora_a"])).ToArray();
        Assert.Equal([4, 320], file.ByName["token_embd.weight.lora_a"].Dimensions);
        Assert.Equal([4, 64], file.ByName["token_embd.weight.lora_b"].Dimensions);
        for (var token = 0; token < 320; token++)
            for (var r = 0; r < 4; r++) Assert.Equal(a[r * 320 + token], written[token * 4 + r]);
    }

    [Fact]
    public void An_adapter_of_a_tied_embedding_is_refused()
    {
        var fault = Assert.Throws<AdapterException>(() => GgufAdapterExporter.Export(Golden.Folder("gemma3"),
            Golden.Folder("lora", "gemma3_embedding", "adapter_final"), Target));
        Assert.Contains("adapt the head with the embedding", fault.Message, StringComparison.Ordinal);
    }

    // The golden models differ on purpose from what llama.cpp fixes for these families.
    private static void Fitted(JsonObject config)
    {
        if (config["query_pre_attn_scalar"] is not null) config["query_pre_attn_scalar"] = 16;
        if (config["model_type"]!.GetValue<string>() == "gemma3_text")
            config["layer_types"] = new JsonArray("sliding_attention", "sliding_attention", "sliding_attention");
        if (config["no_rope_layers"] is not null) config["no_rope_layers"] = new JsonArray(1, 1);
    }

    private static float[] Values(string model, string name)
    {
        using var tensors = ShardedModel.Open(Golden.Folder(model));
        return Golden.Floats(tensors.FileOf(name), name);
    }

    private GgufFile Exported(string model, Action<JsonObject> change, string? name = null)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_temp, "model")).FullName;
        foreach (var file in Directory.GetFiles(Golden.Folder(model), "model*")) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        var config = JsonNode.Parse(File.ReadAllText(Golden.Folder(model, "config.json")))!.AsObject();
        change(config);
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        // These models have random weights and no tokenizer; three tokens will do.
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"),
            """{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"decoder":{"type":"ByteLevel"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}}""");
        GgufModelExporter.Export(folder, Target, new GgufModelOptions { Type = GgufTensorType.F32, Name = name });
        return GgufFile.Open(Target);
    }
}
