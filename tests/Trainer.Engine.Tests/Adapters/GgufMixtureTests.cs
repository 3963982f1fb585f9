using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Trainer.Adapters;
using Trainer.Adapters.Export;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Gguf;
using Trainer.Engine.Tests.Models;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Experts, gated delta rules and layers of two kinds as GGUF: written, read back as a base, and the places that llama.cpp's loaders expect.</summary>
[Trait("ring", "model")]
public sealed class GgufMixtureTests : IDisposable
{
    private readonly string _temp = Directory.CreateTempSubdirectory("gguf-mixture-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    public static TheoryData<string> Names => [.. GgufModels.All.Keys];

    [Theory, MemberData(nameof(Names))]
    public void A_model_written_and_read_back_computes_the_same(string name)
    {
        var source = Source(name);
        var file = Export(source, GgufTensorType.F32);
        var folder = GgufFolder.Of(file, Path.Combine(_temp, "cache"));
        // Norms lose their one and get it back, decays go through a logarithm.
        Assert.InRange(Golden.LargestDifference(Logits(folder), Logits(source)), 0, 2e-5);
        // Written once more it is the same file, but for what went through a float and back.
        using GgufFile once = GgufFile.Open(file), twice = GgufFile.Open(Export(folder, GgufTensorType.F32, "again.gguf"));
        Assert.Equal(once.Tensors.Select(tensor => tensor.Name), twice.Tensors.Select(tensor => tensor.Name));
        Assert.All(once.Tensors, tensor => Assert.InRange(Golden.LargestDifference(Values(once, tensor.Name), Values(twice, tensor.Name)), 0, 1e-6));
    }

    // How blocks are kept hangs on what a family does with its matrices: experts, turned rows, joined ones, mixers.
    private static readonly string[] Telling = ["qwen3_moe", "mixtral", "gpt_oss", "qwen3_5_moe", "gemma4_moe", "qwen2_5_vl", "cohere", "glm4", "lfm2", "phi"];

    public static IEnumerable<object[]> TellingNames => Rings.Always(Names, one => Telling.Contains(one[0]));

    public static IEnumerable<object[]> OtherNames => Rings.Slow(Names, one => Telling.Contains(one[0]));

    [Theory, MemberData(nameof(OtherNames)), Trait("ring", "slow")]
    public void Blocks_of_eight_bits_of_every_family_are_kept_and_trained_on(string name) => Blocks_of_eight_bits_are_kept_and_trained_on(name);

    [Theory, MemberData(nameof(TellingNames))]
    public void Blocks_of_eight_bits_are_kept_and_trained_on(string name)
    {
        var source = Source(name);
        var folder = GgufFolder.Of(Export(source, GgufTensorType.Q8_0), Path.Combine(_temp, "cache"));
        using var model = Load(folder);
        Assert.Contains(model.Linears, linear => linear.Weight.Form == WeightForm.Gguf);
        Assert.All(model.Experts.SelectMany(experts => experts.Experts), expert => Assert.Equal(WeightForm.Gguf, expert.Down.Form));
        Assert.InRange(Golden.LargestDifference(Logits(model), Logits(source)), 1e-5, 10);
        AdapterInjector.Inject(model, new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.AllLinear }, 1);
        int[] ids = [1, 5, 9, 2, 7, 7, 3];
        model.ForwardBackward(TokenBatch.OfRows([(ids, ids)]), 1.0 / 6);
        Assert.Contains(model.Parameters.GradientSpan.ToArray(), gradient => gradient != 0);
    }

    [SkippableTheory, Trait("ring", "slow")]
    [InlineData("qwen3_moe")]
    [InlineData("mixtral")]
    [InlineData("gpt_oss")]
    [InlineData("gpt_oss_mxfp4")]
    [InlineData("gemma4_e2b")]
    [InlineData("gemma4_31b")]
    [InlineData("gemma4_moe")]
    [InlineData("mistral3_ministral3")]
    public void Golden_models_give_their_logits_from_the_file(string name)
    {
        using var variant = new FolderVariant(ReferenceData.Transformers("models", name));
        // What llama.cpp has no key for is refused or noted: other bounds of YaRN, a window of mixtral.
        if (variant.Config["rope_scaling"] is JsonObject rope && rope.ContainsKey("beta_fast")) rope["beta_fast"] = 32;
        if (name == "mixtral") variant.Config["sliding_window"] = null;
        var source = variant.Write();
        File.WriteAllText(Path.Combine(source, "tokenizer.json"), GgufModels.Tokenizer);
        var folder = GgufFolder.Of(Export(source, GgufTensorType.F32), Path.Combine(_temp, "cache"));
        Assert.InRange(Golden.LargestDifference(Logits(folder), Logits(source)), 0, 5e-5);
    }

    [Fact]
    public void Gates_and_ups_of_gpt_oss_are_taken_apart_and_its_late_norm_has_another_name()
    {
        var source = Source("gpt_oss");
        using var file = GgufFile.Open(Export(source, GgufTensorType.F32));
        using var folder = SafetensorsFile.Open(Path.Combine(source, ShardedModel.SingleFile));
        float[] both = Golden.Floats(folder, "model.layers.1.mlp.experts.gate_up_proj"),
            bias = Golden.Floats(folder, "model.layers.1.mlp.experts.gate_up_proj_bias");
        float[] gate = Values(file, "blk.1.ffn_gate_exps.weight"), up = Values(file, "blk.1.ffn_up_exps.weight"),
            upBias = Values(file, "blk.1.ffn_up_exps.bias");
        // x @ W there, rows of output features here.
        foreach (var (e, i, h) in new[] { (0, 0, 0), (2, 7, 3), (4, 31, 31) })
        {
            Assert.Equal(both[(e * 32 + h) * 64 + 2 * i], gate[(e * 32 + i) * 32 + h]);
            Assert.Equal(both[(e * 32 + h) * 64 + 2 * i + 1], up[(e * 32 + i) * 32 + h]);
            Assert.Equal(bias[e * 64 + 2 * i + 1], upBias[e * 32 + i]);
        }
        Assert.Equal([32, 32, 5], file.ByName["blk.1.ffn_gate_exps.weight"].Dimensions);
        Assert.Equal(Golden.Floats(folder, "model.layers.1.post_attention_layernorm.weight"), Values(file, "blk.1.post_attention_norm.weight"));
        Assert.Equal(Golden.Floats(folder, "model.layers.1.self_attn.sinks"), Values(file, "blk.1.attn_sinks.weight"));
        Assert.Equal("gpt-oss", file.Text("general.architecture"));
        Assert.Equal(8u, file.Find("gpt-oss.attention.sliding_window")!.Value);
    }

    [Fact]
    public void Value_heads_of_qwen3_5_go_by_turns_and_decays_are_written_as_they_act()
    {
        var source = Source("qwen3_5");
        using var file = GgufFile.Open(Export(source, GgufTensorType.F32));
        using var folder = SafetensorsFile.Open(Path.Combine(source, ShardedModel.SingleFile));
        // Six value heads of two key heads: 0 1 2 | 3 4 5 become 0 3 1 4 2 5.
        int[] turns = [0, 3, 1, 4, 2, 5];
        var (log, decay) = (Golden.Floats(folder, "model.layers.0.linear_attn.A_log"), Values(file, "blk.0.ssm_a"));
        Assert.Equal(turns.Select(head => -MathF.Exp(log[head])), decay);
        var (z, gate) = (Golden.Floats(folder, "model.layers.0.linear_attn.in_proj_z.weight"), Values(file, "blk.0.attn_gate.weight"));
        Assert.Equal(z[(3 * 8 + 2) * 32 + 5], gate[(1 * 8 + 2) * 32 + 5]);
        var (qkv, written) = (Golden.Floats(folder, "model.layers.0.linear_attn.in_proj_qkv.weight"), Values(file, "blk.0.attn_qkv.weight"));
        Assert.Equal(qkv[..(32 * 32)], written[..(32 * 32)]);
        Assert.Equal(qkv[(32 + 3 * 8) * 32], written[(32 + 8) * 32]);
        var (output, moved) = (Golden.Floats(folder, "model.layers.0.linear_attn.out_proj.weight"), Values(file, "blk.0.ssm_out.weight"));
        Assert.Equal(output[7 * 48 + 3 * 8 + 4], moved[7 * 48 + 8 + 4]);
        Assert.Equal([4, 80], file.ByName["blk.0.ssm_conv1d.weight"].Dimensions);
        // Norms of the stream get their one, the norm on value heads has it.
        Assert.Equal(Golden.Floats(folder, "model.layers.0.input_layernorm.weight").Select(value => value + 1), Values(file, "blk.0.attn_norm.weight"));
        Assert.Equal(Golden.Floats(folder, "model.layers.0.linear_attn.norm.weight"), Values(file, "blk.0.ssm_norm.weight"));
        Assert.Equal(new[] { 2, 1, 1, 0 }, file.Find("qwen35.rope.dimension_sections")!.Value);
        Assert.Equal((2u, 8u, 6u, 48u, 2u), ((uint)file.Find("qwen35.ssm.group_count")!.Value, (uint)file.Find("qwen35.ssm.state_size")!.Value,
            (uint)file.Find("qwen35.ssm.time_step_rank")!.Value, (uint)file.Find("qwen35.ssm.inner_size")!.Value,
            (uint)file.Find("qwen35.full_attention_interval")!.Value));
    }

    [Fact]
    public void The_text_of_a_multimodal_model_keeps_how_pairs_are_dealt_out()
    {
        using var file = GgufFile.Open(Export(Source("qwen2_5_vl"), GgufTensorType.F32));
        Assert.Equal("qwen2vl", file.Text("general.architecture"));
        Assert.Equal(new[] { 1, 1, 2, 0 }, file.Find("qwen2vl.rope.dimension_sections")!.Value);
    }

    [Fact]
    public void Gemma_4_has_its_keys_per_layer_and_its_small_inputs()
    {
        using var file = GgufFile.Open(Export(Source("gemma4_small"), GgufTensorType.F32));
        Assert.Equal(new[] { true, false, true, false }, file.Find("gemma4.attention.sliding_window_pattern")!.Value);
        Assert.Equal(new[] { 48, 48, 96, 96 }, file.Find("gemma4.feed_forward_length")!.Value);
        Assert.Equal((16u, 8u, 2u, 8u), ((uint)file.Find("gemma4.attention.key_length")!.Value, (uint)file.Find("gemma4.attention.key_length_swa")!.Value,
            (uint)file.Find("gemma4.attention.shared_kv_layers")!.Value, (uint)file.Find("gemma4.embedding_length_per_layer_input")!.Value));
        Assert.Equal([1f, 1f, 1f, 1f, 1e30f, 1e30f, 1e30f, 1e30f], Values(file, "rope_freqs.weight"));
        Assert.All((string[])["blk.0.inp_gate.weight", "blk.0.proj.weight", "blk.0.post_norm.weight", "blk.0.layer_output_scale.weight",
            "per_layer_token_embd.weight", "per_layer_model_proj.weight", "per_layer_proj_norm.weight"], name => Assert.Contains(name, file.ByName.Keys));
        Assert.DoesNotContain("blk.3.attn_k.weight", file.ByName.Keys);
        using var mixture = GgufFile.Open(Export(Source("gemma4_moe"), GgufTensorType.F32));
        Assert.Equal([32, 64, 5], mixture.ByName["blk.0.ffn_gate_up_exps.weight"].Dimensions);
        Assert.All((string[])["blk.0.ffn_gate_inp.scale", "blk.0.ffn_down_exps.scale", "blk.0.pre_ffw_norm_2.weight", "blk.0.post_ffw_norm_1.weight",
            "blk.0.post_ffw_norm_2.weight", "blk.0.post_ffw_norm.weight", "blk.0.ffn_norm.weight"], name => Assert.Contains(name, mixture.ByName.Keys));
        using var large = GgufFile.Open(Export(Source("gemma4_large"), GgufTensorType.F32));
        Assert.Equal(new[] { 2, 1, 2, 1 }, large.Find("gemma4.attention.head_count_kv")!.Value);
        Assert.DoesNotContain("blk.1.attn_v.weight", large.ByName.Keys);
    }

    [Theory]
    [InlineData("qwen3_5")]
    [InlineData("mixtral")]
    [InlineData("gpt_oss")]
    [InlineData("gemma4_small")]
    [InlineData("qwen3_next")]
    [InlineData("apertus")]
    [InlineData("falcon_h1")]
    [InlineData("granitehybrid")]
    [InlineData("granitehybrid experts")]
    [InlineData("nemotron_h")]
    [InlineData("lfm2_moe")]
    [InlineData("llama4")]
    public void An_adapter_s_rows_and_columns_lie_as_the_weight_s_do(string name)
    {
        var source = Source(name);
        var adapter = Directory.CreateDirectory(Path.Combine(_temp, "adapter")).FullName;
        using (var model = Load(source))
        {
            var spec = new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.AllLinear,
                Exclude = TargetModules.OfPattern(".*(per_layer.*|shared_expert_gate)") };
            AdapterInjector.Inject(model, spec, 1);
            foreach (var entry in model.Parameters.Entries)
                model.Parameters.Write(entry, [.. Enumerable.Range(0, (int)entry.Count).Select(i => 0.03f * (i % 13 - 6))]);
            PeftFolder.Save(adapter, model, spec, source);
        }
        ModelMerger.Merge(source, adapter, Path.Combine(_temp, "merged"), new MergeOptions());
        File.Copy(Path.Combine(source, "tokenizer.json"), Path.Combine(_temp, "merged", "tokenizer.json"), overwrite: true);
        GgufAdapterExporter.Export(source, adapter, Path.Combine(_temp, "adapter.gguf"));
        using GgufFile own = GgufFile.Open(Export(source, GgufTensorType.F32)),
            merged = GgufFile.Open(Export(Path.Combine(_temp, "merged"), GgufTensorType.F32, "merged.gguf")),
            file = GgufFile.Open(Path.Combine(_temp, "adapter.gguf"));
        // What llama.cpp adds up: the base's tensor, and B A of the adapter's, is the merged model's tensor.
        foreach (var tensor in file.Tensors.Where(tensor => tensor.Name.EndsWith(".lora_a", StringComparison.Ordinal)))
        {
            var weight = tensor.Name[..^".lora_a".Length];
            float[] a = Values(file, tensor.Name), b = Values(file, weight + ".lora_b"), before = Values(own, weight), after = Values(merged, weight);
            var columns = (int)tensor.Dimensions[0];
            for (var i = 0; i < before.Length; i++)
            {
                var (row, column) = (i / columns, i % columns);
                Assert.Equal(after[i], before[i] + 2 * (b[2 * row] * a[column] + b[2 * row + 1] * a[columns + column]), 1e-5);
            }
        }
    }

    [Theory]
    [InlineData("qwen3_moe", false)]
    [InlineData("qwen3_moe", true)]
    [InlineData("mixtral", true)]
    [InlineData("gpt_oss", false)]
    [InlineData("glm4_moe", false)]
    [InlineData("gemma4_moe", false)]
    [InlineData("deepseek_v3", false)]
    [InlineData("qwen3_next", true)]
    [InlineData("llama4", false)]
    [InlineData("nemotron_h experts", false)]
    [InlineData("granitemoe", false)]
    [InlineData("lfm2_moe", false)]
    public void Updates_of_experts_stand_beside_the_tensor_of_all_of_them(string name, bool isOwn)
    {
        var source = Source(name);
        var adapter = Directory.CreateDirectory(Path.Combine(_temp, "adapter")).FullName;
        using (var model = Load(source))
        {
            var spec = new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames(!isOwn ? ["q_proj"] : name == "mixtral"
                ? ["q_proj", "w1", "w2", "w3"] : ["q_proj", "gate_proj", "up_proj", "down_proj"]),
                TargetParameters = isOwn ? [] : name switch
                {
                    "granitemoe" => ["input_linear.weight", "output_linear.weight"],
                    "nemotron_h experts" => ["experts.up_proj", "experts.down_proj"],
                    _ => ["experts.gate_up_proj", "experts.down_proj"],
                } };
            AdapterInjector.Inject(model, spec, 1);
            foreach (var entry in model.Parameters.Entries)
                model.Parameters.Write(entry, [.. Enumerable.Range(0, (int)entry.Count).Select(i => 0.03f * (i % 13 - 6))]);
            PeftFolder.Save(adapter, model, spec, source);
        }
        ModelMerger.Merge(source, adapter, Path.Combine(_temp, "merged"), new MergeOptions());
        File.Copy(Path.Combine(source, "tokenizer.json"), Path.Combine(_temp, "merged", "tokenizer.json"), overwrite: true);
        GgufAdapterExporter.Export(source, adapter, Path.Combine(_temp, "adapter.gguf"));
        using GgufFile own = GgufFile.Open(Export(source, GgufTensorType.F32)),
            merged = GgufFile.Open(Export(Path.Combine(_temp, "merged"), GgufTensorType.F32, "merged.gguf")),
            file = GgufFile.Open(Path.Combine(_temp, "adapter.gguf"));
        var compared = 0;
        foreach (var tensor in file.Tensors.Where(tensor => tensor.Name.EndsWith("_exps.weight.lora_a", StringComparison.Ordinal)))
        {
            var weight = tensor.Name[..^".lora_a".Length];
            float[] a = Values(file, tensor.Name), b = Values(file, weight + ".lora_b"), before = Values(own, weight), after = Values(merged, weight);
            var sides = own.ByName[weight].Dimensions;
            var (columns, rows, experts) = ((int)sides[0], (int)sides[1], (int)sides[2]);
            Assert.Equal([columns, 2, experts], tensor.Dimensions);
            Assert.Equal([2, rows, experts], file.ByName[weight + ".lora_b"].Dimensions);
            Assert.True(Golden.LargestDifference(before, after) > 0.01);
            for (var i = 0; i < before.Length; i++)
            {
                var (e, row, column) = (i / (rows * columns), i / columns % rows, i % columns);
                var sum = 0f;
                for (var j = 0; j < 2; j++) sum += b[(e * rows + row) * 2 + j] * a[(e * 2 + j) * columns + column];
                Assert.Equal(after[i], before[i] + 2 * sum, 1e-5);
            }
            compared++;
        }
        var layers = name switch { "glm4_moe" or "deepseek_v3" or "lfm2_moe" => 3, "llama4" or "nemotron_h experts" => 2, _ => 4 };
        Assert.Equal(layers * (name is "gemma4_moe" or "nemotron_h experts" ? 2 : 3), compared);
    }

    [Theory]
    [InlineData("qwen3_moe", "norm_topk_prob", "false", "its norm_topk_prob is false")]
    [InlineData("qwen2_moe", "norm_topk_prob", "true", "its norm_topk_prob is true")]
    [InlineData("olmoe", "clip_qkv", "2", "clip_qkv")]
    [InlineData("qwen3_5", "linear_value_head_dim", "16", "its keys have 8 elements and its values 16")]
    [InlineData("qwen3_5", "layer_types", "[\"linear_attention\",\"full_attention\",\"full_attention\",\"linear_attention\"]", "do not follow each other")]
    [InlineData("gemma4_large", "final_logit_softcapping", "null", "no soft cap")]
    [InlineData("gpt_oss", "layer_types", "[\"full_attention\",\"full_attention\",\"full_attention\",\"full_attention\"]", "its layer 0 is global")]
    public void What_llama_cpp_would_compute_otherwise_is_refused(string name, string key, string value, string why)
    {
        var config = JsonNode.Parse(GgufModels.All[name])!.AsObject();
        config[key] = JsonNode.Parse(value);
        var source = Source(name, config.ToJsonString());
        Assert.Contains(why, Assert.Throws<ModelException>(() => Export(source, GgufTensorType.F32)).Message, StringComparison.Ordinal);
    }

    private string Source(string name, string? config = null) => GgufModels.Write(_temp, name, config);

    private string Export(string folder, GgufTensorType type, string name = "out.gguf")
    {
        var target = Path.Combine(_temp, Path.GetFileName(folder) + name);
        GgufModelExporter.Export(folder, target, new GgufModelOptions { Type = type, Name = "m" });
        return target;
    }

    private static CausalModel Load(string folder)
        => CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None, Compute = ComputeKind.Float32, Engine = EngineKind.Reference });

    private static float[] Logits(string folder)
    {
        using var model = Load(folder);
        return Logits(model);
    }

    private static float[] Logits(CausalModel model)
    {
        using var logits = model.Logits(TokenBatch.OfTokens([.. Enumerable.Range(0, 40).Select(i => (i * 37 + 5) % 96)]));
        return logits.data<float>().ToArray();
    }

    private static float[] Values(GgufFile file, string name) => MemoryMarshal.Cast<byte, float>(file.Read(file.ByName[name])).ToArray();
}
