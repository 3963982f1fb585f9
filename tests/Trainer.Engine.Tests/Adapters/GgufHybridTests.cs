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
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Latent attention, state-space mixers and several streams in a GGUF file: the places and keys that llama.cpp's loaders ask for.</summary>
[Trait("ring", "model")]
public sealed class GgufHybridTests : IDisposable
{
    private readonly string _temp = Directory.CreateTempSubdirectory("gguf-hybrid-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Fact]
    public void What_keys_take_from_the_latent_lies_turned_and_sizes_are_those_of_one_shared_head()
    {
        using var file = Exported("deepseek_v3", out var source);
        float[] both = Tensor(source, "model.layers.2.self_attn.kv_b_proj.weight"), keys = Values(file, "blk.2.attn_k_b.weight"),
            values = Values(file, "blk.2.attn_v_b.weight");
        // Four heads of 32 plain elements and 16 of values over a latent of 32.
        for (var head = 0; head < 4; head++)
        {
            for (var r = 0; r < 32; r++)
            {
                for (var i = 0; i < 32; i++) Assert.Equal(both[(head * 48 + i) * 32 + r], keys[(head * 32 + r) * 32 + i]);
                for (var i = 0; i < 16; i++) Assert.Equal(both[(head * 48 + 32 + i) * 32 + r], values[(head * 16 + i) * 32 + r]);
            }
        }
        Assert.Equal([32, 32, 4], file.ByName["blk.2.attn_k_b.weight"].Dimensions);
        Assert.Equal([32, 16, 4], file.ByName["blk.2.attn_v_b.weight"].Dimensions);
        (string Key, object Value)[] keysOfFile =
        [
            ("attention.head_count", 4u), ("attention.head_count_kv", 1u), ("attention.key_length", 40u), ("attention.value_length", 32u),
            ("attention.key_length_mla", 40u), ("attention.value_length_mla", 16u), ("attention.q_lora_rank", 24u), ("attention.kv_lora_rank", 32u),
            ("rope.dimension_count", 8u), ("rope.scaling.yarn_log_multiplier", 0.0707f), ("expert_gating_func", 2u), ("expert_shared_count", 2u),
            ("leading_dense_block_count", 1u), ("expert_weights_scale", 2.5f), ("expert_weights_norm", true), ("expert_group_count", 3u),
            ("expert_group_used_count", 2u),
        ];
        Assert.All(keysOfFile, one => Assert.Equal(one.Value, file.Find("deepseek2." + one.Key)?.Value));
        Assert.Equal(Tensor(source, "model.layers.1.mlp.gate.e_score_correction_bias"), Values(file, "blk.1.exp_probs_b.bias"));
    }

    [Fact]
    public void A_file_whose_matrix_was_not_taken_apart_is_read_too()
    {
        using var file = Exported("glm4_moe_lite", out var source);
        var path = Path.Combine(_temp, "old.gguf");
        List<GgufDeclaration> declarations = [];
        foreach (var tensor in file.Tensors.Where(tensor => !tensor.Name.EndsWith("attn_v_b.weight", StringComparison.Ordinal)))
            declarations.Add(tensor.Name.EndsWith("attn_k_b.weight", StringComparison.Ordinal)
                ? new(tensor.Name.Replace("attn_k_b", "attn_kv_b", StringComparison.Ordinal), GgufTensorType.F32, [32, 4 * 48])
                : new(tensor.Name, tensor.Type, tensor.Dimensions));
        using (var writer = GgufWriter.Create(path, file.Metadata, declarations))
        {
            foreach (var one in declarations)
            {
                writer.Write(one.Name, one.Name.EndsWith("attn_kv_b.weight", StringComparison.Ordinal)
                    ? MemoryMarshal.AsBytes<float>(Tensor(source, $"model.layers.{one.Name[4]}.self_attn.kv_b_proj.weight"))
                    : file.Read(file.ByName[one.Name]));
            }
            writer.Complete();
        }
        var folder = GgufFolder.Of(path, Path.Combine(_temp, "cache"));
        Assert.Equal(Tensor(source, "model.layers.3.self_attn.kv_b_proj.weight"), Tensor(folder, "model.layers.3.self_attn.kv_b_proj.weight"));
    }

    [Fact]
    public void Projections_packed_by_key_head_are_unpacked()
    {
        using var file = Exported("qwen3_next", out var source);
        float[] packed = Tensor(source, "model.layers.0.linear_attn.in_proj_qkvz.weight"), mixed = Values(file, "blk.0.attn_qkv.weight"),
            gates = Values(file, "blk.0.attn_gate.weight");
        // Two key heads, each with 8 rows of query, 8 of key, 3 x 8 of values, 3 x 8 of gates; in the file the second head's key lies behind both queries and
        // the first key.
        float[] Row(float[] matrix, int row) => matrix[(row * 32)..((row + 1) * 32)];
        Assert.Equal(Row(packed, 64 + 3), Row(mixed, 8 + 3));
        Assert.Equal(Row(packed, 64 + 8 + 2), Row(mixed, 16 + 8 + 2));
        Assert.Equal(Row(packed, 64 + 16 + 17), Row(mixed, 32 + 24 + 17));
        Assert.Equal(Row(packed, 64 + 40 + 5), Row(gates, 24 + 5));
        Assert.Equal(Tensor(source, "model.layers.0.linear_attn.in_proj_ba.weight"), Values(file, "blk.0.ssm_ba.weight"));
        // Value heads stay beside their key head here.
        Assert.Equal(Tensor(source, "model.layers.0.linear_attn.A_log").Select(value => -MathF.Exp(value)), Values(file, "blk.0.ssm_a"));
        Assert.Equal(Tensor(source, "model.layers.0.linear_attn.out_proj.weight"), Values(file, "blk.0.ssm_out.weight"));
        Assert.Equal(Tensor(source, "model.layers.0.linear_attn.norm.weight"), Values(file, "blk.0.ssm_norm.weight"));
        Assert.Equal(Tensor(source, "model.norm.weight").Select(value => value + 1), Values(file, "output_norm.weight"));
        Assert.Null(file.Find("qwen3next.rope.dimension_sections"));
    }

    [Fact]
    public void Multipliers_of_Falcon_are_in_its_weights()
    {
        using var file = Exported("falcon_h1", out var source);
        float[] folder = Tensor(source, "model.layers.1.mamba.in_proj.weight"), written = Values(file, "blk.1.ssm_in.weight");
        // Gates 64, values 64, B and C 2 x 16 each, steps 4.
        foreach (var (row, part) in new[] { (0, 0.3), (63, 0.3), (64, 0.5), (128, 0.7), (160, 1.1), (192, 1.3), (195, 1.3) })
            Assert.Equal(folder[row * 32 + 7] * 1.25 * part, written[row * 32 + 7], 1e-6);
        (string Name, string Source, double Multiplier)[] all =
        [
            ("blk.1.attn_k.weight", "model.layers.1.self_attn.k_proj.weight", 0.5 * 0.4),
            ("blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight", 0.5),
            ("blk.1.attn_output.weight", "model.layers.1.self_attn.o_proj.weight", 0.7), ("blk.1.ssm_out.weight", "model.layers.1.mamba.out_proj.weight", 0.3),
            ("blk.1.ffn_gate.weight", "model.layers.1.feed_forward.gate_proj.weight", 0.9),
            ("blk.1.ffn_down.weight", "model.layers.1.feed_forward.down_proj.weight", 0.6),
            ("token_embd.weight", "model.embed_tokens.weight", 5.5), ("output.weight", "lm_head.weight", 0.2),
            ("blk.1.ffn_norm", "model.layers.1.pre_ff_layernorm.weight", 1),
        ];
        Assert.All(all, one => Assert.InRange(Golden.LargestDifference([.. Tensor(source, one.Source).Select(value => (float)(value * one.Multiplier))],
            Values(file, one.Name)), 0, 1e-6));
        Assert.Equal([32, 2], file.ByName["blk.1.ssm_norm.weight"].Dimensions);
        Assert.Equal([1, 4], file.ByName["blk.1.ssm_a"].Dimensions);
        using var tied = Exported("falcon_h1 tied", out var table);
        Assert.InRange(Golden.LargestDifference([.. Tensor(table, "model.embed_tokens.weight").Select(value => value * 0.2f)], Values(tied, "output.weight")),
            0, 1e-6);
    }

    [Fact]
    public void Granite_s_layers_of_two_kinds_have_their_names()
    {
        using var file = Exported("granitehybrid", out var source);
        var both = Tensor(source, "model.layers.0.shared_mlp.input_linear.weight");
        Assert.Equal(both[..(48 * 32)], Values(file, "blk.0.ffn_gate.weight"));
        Assert.Equal(both[(48 * 32)..], Values(file, "blk.0.ffn_up.weight"));
        Assert.Equal(new[] { 0, 2, 0, 0 }, file.Find("granitehybrid.attention.head_count_kv")!.Value);
        Assert.Equal(false, file.Find("granitehybrid.rope.scaling.finetuned")!.Value);
        Assert.Equal(Tensor(source, "model.layers.0.mamba.dt_bias"), Values(file, "blk.0.ssm_dt.bias"));
        Assert.Equal(Tensor(source, "model.layers.0.mamba.D"), Values(file, "blk.0.ssm_d"));
        using var mixture = Exported("granitehybrid experts", out _);
        Assert.All((string[])["blk.1.ffn_gate_shexp.weight", "blk.1.ffn_up_shexp.weight", "blk.1.ffn_down_shexp.weight", "blk.1.ffn_gate_inp.weight"],
            name => Assert.Contains(name, mixture.ByName.Keys));
        Assert.Equal(64u, mixture.Find("granitehybrid.expert_shared_feed_forward_length")!.Value);
        using var attends = Exported("granitehybrid attends", out _);
        Assert.Equal("granitemoe", attends.Text("general.architecture"));
    }

    [Fact]
    public void Apertus_has_the_numbers_of_its_activation_among_the_keys()
    {
        using var file = Exported("apertus", out var source);
        foreach (var number in (string[])["alpha_p", "alpha_n", "beta", "eps"])
            Assert.Equal(Enumerable.Range(0, 4).Select(layer => Tensor(source, $"model.layers.{layer}.mlp.act_fn.{number}")[0]),
                (float[])file.Find("xielu." + number)!.Value);
        Assert.DoesNotContain(file.Tensors, tensor => tensor.Name.Contains("act_fn", StringComparison.Ordinal));
    }

    [Fact]
    public void Gemma_3n_has_its_streams_together_and_a_second_row_for_each_token()
    {
        using var file = Exported("gemma3n", out var source);
        Assert.Equal([32, 32, 3], file.ByName["altup_proj.weight"].Dimensions);
        Assert.Equal(Tensor(source, "model.altup_projections.2.weight"), Values(file, "altup_proj.weight")[(2 * 32 * 32)..]);
        Assert.Equal(Tensor(source, "model.altup_unembed_projections.0.weight"), Values(file, "altup_unembd_proj.weight")[..(32 * 32)]);
        float[] small = Tensor(source, "model.embed_tokens_per_layer.weight"), table = Values(file, "per_layer_token_embd.weight");
        Assert.Equal(small, table[..small.Length]);
        var width = 22 * 256;
        Assert.Equal(small[..width], table[(95 * width)..]);
        var scale = (float[])file.Find("gemma3n.activation_sparsity_scale")!.Value;
        Assert.Equal(1.6448536f, scale[9], 1e-6);
        Assert.Equal(float.NegativeInfinity, scale[10]);
        Assert.All((string[])["blk.0.altup_correct_coef.weight", "blk.0.altup_correct_scale.weight", "blk.0.altup_predict_coef.weight",
            "blk.0.altup_router.weight", "blk.0.altup_router_norm.weight", "blk.0.laurel_l.weight", "blk.0.laurel_r.weight",
            "blk.0.laurel_post_norm.weight", "blk.0.inp_gate.weight"],
            name => Assert.Contains(name, file.ByName.Keys));
        Assert.DoesNotContain("blk.21.attn_k.weight", file.ByName.Keys);
    }

    [Fact]
    public void Norms_of_single_heads_of_StableLM_lie_together()
    {
        using var file = Exported("stablelm norms heads", out var source);
        Assert.Equal([8, 4], file.ByName["blk.1.attn_q_norm.weight"].Dimensions);
        Assert.Equal(Tensor(source, "model.layers.1.self_attn.q_layernorm.norms.3.weight"), Values(file, "blk.1.attn_q_norm.weight")[24..]);
    }

    [Theory]
    [InlineData("deepseek_v3", "attention_bias", "true", "biases")]
    [InlineData("deepseek_v3", "rope_interleave", "false", "rotates halves")]
    [InlineData("deepseek_v3", "rope_scaling", "{\"type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":16,\"mscale\":1,\"mscale_all_dim\":0.7}",
        "'Yarn'")]
    [InlineData("granitehybrid", "mamba_conv_bias", "false", "no bias")]
    [InlineData("granitehybrid", "mamba_n_groups", "2", "norms 1 parts")]
    [InlineData("granitehybrid", "time_step_limit", "[0.0, 0.5]", "time_step_limit")]
    [InlineData("falcon_h1", "mamba_norm_before_gate", "true", "before the gate")]
    [InlineData("falcon_h1", "attention_bias", "true", "biases")]
    [InlineData("llama4", "attention_chunk_size", "16", "blocks of 8192")]
    [InlineData("llama4", "floor_scale", "64", "attn_scale, floor_scale")]
    [InlineData("llama4", "use_qk_norm", "false", "does not norm")]
    [InlineData("lfm2_moe", "routed_scaling_factor", "2.0", "routed_scaling_factor")]
    [InlineData("qwen3_next", "norm_topk_prob", "false", "divide their scores")]
    [InlineData("gemma3n", "num_kv_shared_layers", "3", "its layer 19 lacks its own keys")]
    [InlineData("gemma3n", "laurel_rank", "8", "rank 64")]
    [InlineData("nemotron_h", "mlp_hidden_act", "\"silu\"", "its activation is Silu")]
    public void What_llama_cpp_would_compute_otherwise_is_refused(string name, string key, string value, string why)
    {
        var config = JsonNode.Parse(GgufModels.All[name])!.AsObject();
        config[key] = JsonNode.Parse(value);
        var folder = GgufModels.Write(_temp, name, config.ToJsonString());
        var fault = Assert.Throws<ModelException>(() => GgufModelExporter.Export(folder, Path.Combine(_temp, "out.gguf"),
            new GgufModelOptions { Type = GgufTensorType.F32, Name = "m" }));
        Assert.Contains(why, fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("kv_b_proj", false)]
    [InlineData("q_a_proj", false)]
    [InlineData("o_proj", true)]
    public void An_adapter_that_llama_cpp_leaves_out_of_latent_attention_is_refused(string target, bool isWritten)
    {
        var source = GgufModels.Write(_temp, "deepseek_v3");
        var adapter = Directory.CreateDirectory(Path.Combine(_temp, "adapter")).FullName;
        using (var model = CausalModel.Load(source, new ModelLoadOptions { Quantize = QuantizeKind.None, Engine = EngineKind.Reference }))
        {
            var spec = new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames([target]) };
            AdapterInjector.Inject(model, spec, 1);
            PeftFolder.Save(adapter, model, spec, source);
        }
        int Export() => GgufAdapterExporter.Export(source, adapter, Path.Combine(_temp, "adapter.gguf"));
        if (isWritten) Assert.Equal(8, Export());
        else Assert.Contains(target, Assert.Throws<AdapterException>(() => Export()).Message, StringComparison.Ordinal);
    }

    private GgufFile Exported(string name, out string source)
    {
        source = GgufModels.Write(_temp, name);
        var target = Path.Combine(_temp, name + ".gguf");
        GgufModelExporter.Export(source, target, new GgufModelOptions { Type = GgufTensorType.F32, Name = "m" });
        return GgufFile.Open(target);
    }

    private static float[] Tensor(string folder, string name)
    {
        using var file = SafetensorsFile.Open(Path.Combine(folder, ShardedModel.SingleFile));
        return Golden.Floats(file, name);
    }

    private static float[] Values(GgufFile file, string name) => MemoryMarshal.Cast<byte, float>(file.Read(file.ByName[name])).ToArray();
}
