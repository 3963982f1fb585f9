using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Tests.Models;

[Trait("ring", "model")]
public sealed class BadModelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("bad-model-").FullName;

    public BadModelTests() => Copy("llama2");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("mistral", "\"sliding_window\": 0", "'sliding_window' is 0, it must be above 0")]
    [InlineData("mixtral", "\"sliding_window\": -4", "'sliding_window' is -4, it must be above 0")]
    [InlineData("gemma3_text", "\"sliding_window_pattern\": 0", "'sliding_window_pattern' is 0, it must be above 0")]
    [InlineData("gemma2", "\"query_pre_attn_scalar\": 0", "'query_pre_attn_scalar' is 0, it must be above 0")]
    [InlineData("gemma2", "\"final_logit_softcapping\": 0", "'final_logit_softcapping' is 0, it must be above 0")]
    [InlineData("gemma3n_text", "\"altup_active_idx\": 4", "'altup_active_idx' is 4, the streams are 0 to 3")]
    [InlineData("cohere2", "\"sliding_window_pattern\": 0", "'sliding_window_pattern' is 0, it must be above 0")]
    [InlineData("cohere", "\"logit_scale\": 0", "'logit_scale' is 0, it must be above 0")]
    [InlineData("granite", "\"logits_scaling\": 0", "'logits_scaling' is 0, it must be above 0")]
    [InlineData("smollm3", "\"no_rope_layer_interval\": 0", "'no_rope_layer_interval' is 0, it must be above 0")]
    [InlineData("llama4_text", "\"attention_chunk_size\": 0", "'attention_chunk_size' is 0, it must be above 0")]
    public void A_number_that_a_family_divides_by_or_counts_with_is_refused(string type, string entry, string message)
    {
        const string Common = "\"vocab_size\": 96, \"hidden_size\": 32, \"intermediate_size\": 48, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
            + "\"num_key_value_heads\": 2, \"head_dim\": 8, \"max_position_embeddings\": 64, \"num_local_experts\": 2, \"hidden_size_per_layer_input\": 8, "
            + "\"num_kv_shared_layers\": 0";
        File.WriteAllText(Path.Combine(_folder, "config.json"), $"{{\"model_type\": \"{type}\", {Common}, {entry}}}");
        Assert.Contains(message, Assert.Throws<ModelException>(() => Trainer.Models.Families.ConfigLoader.Load(_folder)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model_type", "\"gpt_neox\"", "model_type 'gpt_neox' is not implemented (the nearest that is: '")]
    [InlineData("model_type", "\"llama5\"", "(the nearest that is: 'llama'); choose a model of one of apertus, arcee")]
    [InlineData("model_type", "\"mistral4\"", "(the nearest that is: 'mistral')")]
    [InlineData("model_type", null, "has no 'model_type'")]
    [InlineData("hidden_size", null, "has no 'hidden_size'")]
    [InlineData("vocab_size", null, "has no 'vocab_size'")]
    [InlineData("hidden_size", "\"64\"", "'hidden_size' is \"64\", not a whole number")]
    [InlineData("hidden_size", "0", "'hidden_size' is 0, it must be above 0")]
    [InlineData("num_key_value_heads", "3", "does not divide num_attention_heads 4")]
    [InlineData("hidden_act", "\"mish\"", "'hidden_act' is 'mish', which changes what the model computes")]
    [InlineData("rope_scaling", """{"rope_type": "mystery"}""", "'rope_scaling.rope_type' is 'mystery'")]
    [InlineData("rope_scaling", """{"rope_type": "linear"}""", "has no 'rope_scaling.factor'")]
    [InlineData("rope_scaling", """{"rope_type": "yarn", "factor": -4}""", "'rope_scaling.factor' is -4, it must be above 0")]
    [InlineData("rope_scaling", """{"rope_type": "llama3", "factor": 8, "low_freq_factor": 0, "high_freq_factor": 4, "original_max_position_embeddings": 64}""",
        "'rope_scaling.low_freq_factor' is 0, it must be above 0")]
    [InlineData("rope_scaling", """{"rope_type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1, 1, 0], "long_factor": [1, 1, 1, 1, 1, 1, 1, 1]}""",
        "'rope_scaling.short_factor' holds a number that is not above 0")]
    [InlineData("rope_parameters", """{"rope_type": "default", "rope_theta": 0}""", "'rope_parameters.rope_theta' is 0, it must be above 0")]
    [InlineData("rope_theta", "-10000.0", "'rope_theta' is -10000.0, it must be above 0")]
    [InlineData("rms_norm_eps", "-1e-6", "'rms_norm_eps' is -1e-6, it must not be below 0")]
    [InlineData("rms_norm_eps", "0", null)]
    [InlineData("partial_rotary_factor", "0.5", "'partial_rotary_factor' is 0.5")]
    [InlineData("use_bidirectional_attention", "true", "'use_bidirectional_attention' is true")]
    [InlineData("clip_qkv", "8.0", "'clip_qkv' is 8.0")]
    [InlineData("num_local_experts", "8", "is a mixture of experts ('num_local_experts')")]
    [InlineData("vision_config", """{"hidden_size": 3}""", "is multimodal")]
    [InlineData("quantization", """{"group_size": 64, "bits": 4}""", "quantized for MLX")]
    [InlineData("quantization_config", """{"quant_method": "gptq", "bits": 4}""", "quantization_config.q_group_size")]
    [InlineData("quantization_config", """{"quant_method": "awq"}""", "quantization_config.w_bit")]
    [InlineData("quantization_config", """{"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "af4"}""",
        "'quantization_config.bnb_4bit_quant_type' is 'af4'")]
    [InlineData("quantization_config", """{"quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": true}""",
        "'quantization_config.load_in_8bit' and load_in_4bit are both true")]
    [InlineData("quantization_config", """{"quant_method": "bitsandbytes", "load_in_4bit": false, "load_in_8bit": false}""", null)]
    [InlineData("quantization_config", """{"load_in_4bit": false, "bnb_4bit_quant_type": "fp4"}""", null)]
    [InlineData("rope_parameters", """{"rope_type": "default", "rope_theta": 10000.0}""", null)]
    [InlineData("rope_parameters", """{"rope_type": "linear", "factor": 4.0}""", null)]
    [InlineData("layer_types", """["full_attention"]""", null)]
    [InlineData("attention_dropout", "0.1", null)]
    public void A_config_that_cannot_be_used_is_refused_by_key(string key, string? value, string? message)
    {
        Change(config =>
        {
            if (value is null) config.Remove(key);
            else config[key] = JsonNode.Parse(value);
        });
        if (message is null)
        {
            // Llama knows no layer types, and a frozen base is computed as in evaluation, without dropout of its own.
            CausalModel.Load(_folder).Dispose();
            return;
        }
        var fault = Refused();
        Assert.Contains(message, fault, StringComparison.Ordinal);
        Assert.Contains(Path.Combine(_folder, "config.json"), fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"rope_type": "linear", "factor": 4.0}""", true)]
    [InlineData("""{"rope_type": "default", "rope_theta": 500.0}""", true)]
    [InlineData("""{"rope_type": "default"}""", false)]
    public void Two_rope_entries_that_say_different_things_are_a_contradiction(string scaling, bool isRefused)
    {
        Change(config =>
        {
            config["rope_parameters"] = JsonNode.Parse("""{"rope_type": "default", "rope_theta": 10000.0}""");
            config["rope_scaling"] = JsonNode.Parse(scaling);
        });
        if (isRefused) Assert.Contains("'rope_scaling' says something else than 'rope_parameters'", Refused(), StringComparison.Ordinal);
        else CausalModel.Load(_folder).Dispose();
    }

    [Fact]
    public void A_config_as_Python_writes_it_is_read_with_infinities_and_a_byte_order_mark()
    {
        var path = Path.Combine(_folder, "config.json");
        var text = File.ReadAllText(path).TrimEnd().TrimEnd('}');
        File.WriteAllText(path, "\uFEFF" + text + ", \"time_step_limit\": [0.0, Infinity, -Infinity], \"said\": \"NaN \\\"Infinity\"}");
        CausalModel.Load(_folder).Dispose();
        File.WriteAllText(path, text + ", \"rms_norm_eps\": NaN}");
        Assert.Contains("'rms_norm_eps' is \"NaN\", not a number", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tied_pair_stored_as_the_head_alone_is_loaded()
    {
        Change(config => config["tie_word_embeddings"] = true);
        Rewrite(tensors =>
        {
            tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"];
            tensors.Remove("model.embed_tokens.weight");
        });
        using var model = CausalModel.Load(_folder);
        Assert.Same(model.Embedding.Weight, model.Head.Weight);
    }

    [Theory]
    [InlineData("config.json", "\"model_type\"", "\"m\\ud800l_type\"")]
    [InlineData("config.json", "\"silu\"", "\"\u00ff\"")]
    public void Text_that_is_not_Unicode_is_refused_by_file(string file, string old, string damaged)
    {
        var path = Path.Combine(_folder, file);
        var text = File.ReadAllText(path);
        Assert.Contains(old, text, StringComparison.Ordinal);
        // Latin-1 turns the letter into the byte 0xFF, which no UTF-8 has.
        File.WriteAllBytes(path, System.Text.Encoding.Latin1.GetBytes(text.Replace(old, damaged, StringComparison.Ordinal)));
        Assert.Contains(path, Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_config_that_is_missing_or_no_json_is_refused()
    {
        File.WriteAllText(Path.Combine(_folder, "config.json"), "{\"model_type\": ");
        Assert.Contains("cannot be read", Refused(), StringComparison.Ordinal);
        File.Delete(Path.Combine(_folder, "config.json"));
        Assert.Contains("no config.json", Refused(), StringComparison.Ordinal);
        Assert.Contains("there is no such folder", Assert.Throws<ModelException>(() => CausalModel.Load(Path.Combine(_folder, "nowhere"))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_tensor_is_named()
    {
        FolderCheck.Require(_folder);
        Rewrite(tensors => tensors.Remove("model.layers.1.mlp.up_proj.weight"));
        Assert.Contains("tensor 'model.layers.1.mlp.up_proj.weight' is missing", Refused(), StringComparison.Ordinal);
        Assert.Equal(Refused(), Assert.Throws<ModelException>(() => FolderCheck.Require(_folder)).Message);
    }

    [Fact]
    public void A_surplus_tensor_is_named()
    {
        Rewrite(tensors => tensors["model.layers.1.mlp.experts.weight"] = ([4], new byte[16]));
        Assert.Contains("tensor 'model.layers.1.mlp.experts.weight'", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_layer_more_than_the_config_says_is_named()
    {
        Change(config => config["num_hidden_layers"] = 1);
        Assert.Contains("tensor 'model.layers.1.", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_shape_that_contradicts_the_config_is_named()
    {
        Change(config => config["vocab_size"] = 300);
        Assert.Contains("tensor 'model.embed_tokens.weight'", Refused(), StringComparison.Ordinal);
        Assert.Contains("has shape [256, 64], config.json needs [300, 64]", Refused(), StringComparison.Ordinal);
        Assert.Equal(Refused(), Assert.Throws<ModelException>(() => FolderCheck.Require(_folder)).Message);
        var target = Path.Combine(_folder, "out");
        Assert.Equal(Refused(), Assert.Throws<ModelException>(() => ModelQuantizer.Quantize(_folder, target, new())).Message);
        Assert.Equal(Refused(), Assert.Throws<ModelException>(() => ModelMerger.Merge(_folder, _folder, target, new())).Message);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_weight_that_is_not_finite_is_named(float value)
    {
        Rewrite(tensors => BitConverter.TryWriteBytes(tensors["model.layers.0.mlp.down_proj.weight"].Bytes.AsSpan(4 * 8191), value));
        Assert.Contains("tensor 'model.layers.0.mlp.down_proj.weight'", Refused(), StringComparison.Ordinal);
        Assert.Contains("NaN or infinity", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_head_that_contradicts_tied_embeddings_is_refused_and_an_equal_one_is_not()
    {
        Change(config => config["tie_word_embeddings"] = true);
        Assert.Contains("tensor 'lm_head.weight'", Refused(), StringComparison.Ordinal);
        Rewrite(tensors => tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]);
        CausalModel.Load(_folder).Dispose();
    }

    [Fact]
    public void Old_rotary_buffers_are_passed_over()
    {
        Rewrite(tensors => tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = ([8], new byte[32]));
        CausalModel.Load(_folder).Dispose();
    }

    [Fact]
    public void A_pickle_is_refused_with_the_way_out()
    {
        File.Move(Path.Combine(_folder, "model.safetensors"), Path.Combine(_folder, "pytorch_model.bin"));
        Assert.Contains("safetensors", Refused(), StringComparison.Ordinal);
        Assert.Contains("pickle", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_quantized_folder_is_refused_by_tensor()
    {
        Directory.Delete(_folder, recursive: true);
        Directory.CreateDirectory(_folder);
        foreach (var file in Directory.GetFiles(Golden.Folder("qlora", "llama31_nf4_dq", "prequantized")))
            File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        Assert.Contains("already quantized as nf4",
            Assert.Throws<ModelException>(() => CausalModel.Load(_folder, new ModelLoadOptions { Quantize = QuantizeKind.Int8 })).Message,
            StringComparison.Ordinal);
        const string Name = "model.layers.0.mlp.down_proj.weight";
        Rewrite(tensors => tensors[Name + ".quant_state.bitsandbytes__nf4"] = Text("{\"quant_type\": \"nf4\", \"blocksize\": 128, \"shape\": [64, 128]}"));
        Assert.Contains($"tensor '{Name}'", Refused(), StringComparison.Ordinal);
        Assert.Contains("blocks of 128 are not implemented", Refused(), StringComparison.Ordinal);
        Rewrite(tensors => tensors.Remove(Name + ".quant_state.bitsandbytes__nf4"));
        Assert.Contains($"tensor '{Name}'", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_token_outside_the_vocabulary_is_refused()
    {
        using var model = CausalModel.Load(_folder);
        Assert.Contains("token id 256 is outside", Assert.Throws<ModelException>(() => model.Logits(TokenBatch.OfTokens([1, 256]))).Message,
            StringComparison.Ordinal);
    }

    private static (long[] Shape, byte[] Bytes) Text(string text) => ([Encoding.UTF8.GetByteCount(text)], Encoding.UTF8.GetBytes(text));

    private string Refused() => Assert.Throws<ModelException>(() => CausalModel.Load(_folder)).Message;

    private void Copy(string name)
    {
        foreach (var file in new[] { "config.json", "generation_config.json", "model.safetensors" })
            File.Copy(Golden.Folder(name, file), Path.Combine(_folder, file));
    }

    private void Change(Action<JsonObject> change)
    {
        var path = Path.Combine(_folder, "config.json");
        var config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(config);
        File.WriteAllText(path, config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
    }

    private void Rewrite(Action<Dictionary<string, (long[] Shape, byte[] Bytes)>> change)
    {
        var path = Path.Combine(_folder, "model.safetensors");
        Dictionary<string, SafetensorsDtype> types;
        Dictionary<string, (long[] Shape, byte[] Bytes)> tensors;
        using (var file = SafetensorsFile.Open(path))
        {
            types = file.Tensors.ToDictionary(pair => pair.Key, pair => pair.Value.Dtype);
            tensors = file.Tensors.ToDictionary(pair => pair.Key, pair => (pair.Value.Shape, file.Bytes(pair.Value).ToArray()));
        }
        change(tensors);
        using var writer = SafetensorsWriter.Create(path,
            tensors.Select(pair => new TensorDeclaration(pair.Key, types.GetValueOrDefault(pair.Key, SafetensorsDtype.F32), pair.Value.Shape)), null);
        foreach (var (name, (_, bytes)) in tensors) writer.Write(name, bytes);
        writer.Complete();
    }
}
