using Trainer.Adapters;
using Trainer.Engine.Fast.Streaming;
using Trainer.Engine.Quantize;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

/// <summary>Mixtures of experts by hand against the reference engine, over the processor's kernels and over libtorch's operations.</summary>
[Trait("ring", "model")]
public sealed class FastMixtureTests : IDisposable
{
    private const string Sizes = """
        "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "tie_word_embeddings": false, "rms_norm_eps": 1e-6
        """;

    private readonly string _temp = Directory.CreateTempSubdirectory("fast-mixture-").FullName;

    /// <summary>Families whose expert layers differ: plain, dense layers between, shared blocks, clamps, multipliers, sinks and biases, groups.</summary>
    public static TheoryData<string, string, bool> Families => new()
    {
        { "qwen3_moe",
            """ "intermediate_size": 48, "moe_intermediate_size": 24, "head_dim": 8, "num_experts": 5, "num_experts_per_tok": 2, "norm_topk_prob": true """,
            true },
        { "qwen3_moe",
            """ "intermediate_size": 48, "moe_intermediate_size": 24, "head_dim": 8, "num_experts": 5, "num_experts_per_tok": 3, "mlp_only_layers": [1] """,
            false },
        { "mixtral", """ "intermediate_size": 40, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 7 """, true },
        { "qwen2_moe",
            """ "intermediate_size": 48, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 56, "num_experts": 6, "num_experts_per_tok": 2, "decoder_sparse_step": 2 """,
            true },
        { "olmoe", """ "intermediate_size": 24, "num_experts": 5, "num_experts_per_tok": 2, "clip_qkv": 1.1 """, true },
        { "granitemoe",
            """ "intermediate_size": 24, "num_local_experts": 5, "num_experts_per_tok": 2, "attention_multiplier": 0.2, "residual_multiplier": 0.7, "embedding_multiplier": 3, "logits_scaling": 2 """,
            false },
        { "gpt_oss", """ "intermediate_size": 24, "head_dim": 8, "num_local_experts": 5, "num_experts_per_tok": 2, "sliding_window": 6 """, false },
        { "glm4_moe",
            """ "intermediate_size": 48, "moe_intermediate_size": 24, "head_dim": 8, "n_routed_experts": 8, "n_shared_experts": 2, "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2, "norm_topk_prob": true, "routed_scaling_factor": 1.7, "first_k_dense_replace": 1, "use_qk_norm": true, "attention_bias": true """,
            true },
        { "granitemoehybrid",
            """ "intermediate_size": 24, "shared_intermediate_size": 40, "num_local_experts": 5, "num_experts_per_tok": 2, "attention_multiplier": 0.2, "residual_multiplier": 0.7, "embedding_multiplier": 3, "logits_scaling": 2, "mamba_n_heads": 4, "mamba_d_state": 6, "layer_types": ["mamba", "attention", "mamba"] """,
            false },
        { "lfm2_moe",
            """ "intermediate_size": 48, "moe_intermediate_size": 24, "num_experts": 5, "num_experts_per_tok": 2, "num_dense_layers": 1, "layer_types": ["conv", "full_attention", "conv"], "routed_scaling_factor": 1.5 """,
            true },
        { "llama4_text",
            """ "intermediate_size": 24, "intermediate_size_mlp": 48, "head_dim": 8, "num_local_experts": 5, "num_experts_per_tok": 2, "interleave_moe_layer_step": 2, "attention_chunk_size": 7, "no_rope_layers": [1, 1, 0], "floor_scale": 5 """,
            false },
        { "deepseek_v3",
            """ "intermediate_size": 48, "moe_intermediate_size": 24, "q_lora_rank": 20, "kv_lora_rank": 12, "qk_nope_head_dim": 10, "qk_rope_head_dim": 6, "v_head_dim": 9, "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2, "norm_topk_prob": true, "routed_scaling_factor": 2.5, "first_k_dense_replace": 1 """,
            true },
        { "gemma4_text",
            """ "intermediate_size": 48, "head_dim": 8, "global_head_dim": 16, "enable_moe_block": true, "moe_intermediate_size": 24, "num_experts": 5, "top_k_experts": 2, "hidden_size_per_layer_input": 6, "vocab_size_per_layer_input": 96, "sliding_window": 7, "layer_types": ["sliding_attention", "full_attention", "full_attention"] """,
            false },
        { "nemotron_h",
            """ "intermediate_size": 40, "head_dim": 8, "layers_block_type": ["mamba", "moe", "attention", "moe"], "mamba_num_heads": 6, "mamba_head_dim": 5, "n_groups": 2, "ssm_state_size": 7, "conv_kernel": 4, "n_routed_experts": 6, "moe_intermediate_size": 10, "moe_shared_expert_intermediate_size": 14, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "norm_topk_prob": true, "routed_scaling_factor": 1.7 """,
            true },
        { "nemotron_h",
            """ "intermediate_size": 40, "head_dim": 8, "layers_block_type": ["moe", "attention", "moe"], "moe_latent_size": 12, "mlp_bias": true, "mamba_num_heads": 6, "mamba_head_dim": 5, "n_groups": 2, "ssm_state_size": 7, "conv_kernel": 4, "n_routed_experts": 6, "moe_intermediate_size": 10, "moe_shared_expert_intermediate_size": 14, "num_experts_per_tok": 3 """,
            false },
        { "olmoe", """ "intermediate_size": 24, "num_experts": 5, "num_experts_per_tok": 2, "output_router_logits": true, "router_aux_loss_coef": 0.4 """,
            true },
    };

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory, MemberData(nameof(Families))]
    public void Every_gradient_equals_the_reference_engines(string type, string keys, bool perExpert)
    {
        Write(type, keys, perExpert);
        foreach (var (own, recompute, everyRow) in ((bool, bool, bool)[])[(false, true, false), (false, false, true), (true, false, false), (true, true, true)])
        {
            // Experts one by one, as in older adapters; with dropout where layers are computed again.
            if (own && type is "gpt_oss" or "granitemoe" or "granitemoehybrid" or "llama4_text") continue;
            var expected = Step(EngineKind.Reference, own, recompute, everyRow);
            // Experts one by one may be without a token, all of them together never.
            var idle = expected.Gradients.Where(pair => pair.Value.Max(Math.Abs) == 0).Select(pair => pair.Key).ToList();
            Assert.True(own ? idle.Count < expected.Gradients.Count / 3 : idle.Count == 0,
                $"{string.Join(", ", idle)}: no gradient, so the comparison would say nothing");
            Assert.Contains(expected.Gradients.Keys,
                name => name.Contains("experts", StringComparison.Ordinal) || name.Contains("block_sparse_moe", StringComparison.Ordinal));
            foreach (var engine in FastRun.Hand)
                FastRun.AssertClose(expected, Step(engine, own, recompute, everyRow), $"{engine}, own {own}, recompute {recompute}, every row {everyRow}",
                    IsNoisy(type) ? 1e-3 : FastRun.Gate);
        }
    }

    [Theory, MemberData(nameof(Families))]
    public void Packed_rows_are_rows_apart_and_decoding_is_the_whole_pass(string type, string keys, bool perExpert)
    {
        Write(type, keys, perExpert);
        FastRun.AssertRows(_temp, IsNoisy(type) ? 3e-5 : 1e-5);
    }

    [Fact]
    public void Recomputing_and_keeping_give_the_same_bits_whatever_the_threads()
    {
        Write("qwen2_moe", (string)Families.First(row => (string)row[0] == "qwen2_moe")[1], true);
        var kept = Step(EngineKind.Fast, false, false, false);
        var threads = TorchSharp.torch.get_num_threads();
        try
        {
            TorchSharp.torch.set_num_threads(threads == 1 ? 2 : 1);
            var recomputed = Step(EngineKind.Fast, false, true, false);
            Assert.Equal(kept.Loss, recomputed.Loss);
            foreach (var (tensor, values) in kept.Gradients) Assert.Equal(values, recomputed.Gradients[tensor]);
        }
        finally
        {
            TorchSharp.torch.set_num_threads(threads);
        }
    }

    [Theory]
    [InlineData("qwen3_moe", 3 * (4 + 15))]
    [InlineData("gpt_oss", 3 * (4 + 15))]
    [InlineData("llama4_text", 3 * 4 + 2 * 3 + 3 + 15)]
    [InlineData("deepseek_v3", 3 * 5 + 3 + 2 * (3 + 24))]
    [InlineData("granitemoehybrid", 2 * 2 + 4 + 3 * (2 + 15))]
    [InlineData("gemma4_text", 3 * (4 + 3 + 2 + 15))]
    [InlineData("nemotron_h", 2 + 4 + 2 * (2 + 12))]
    public void Experts_in_4_bits_read_from_disk_give_the_bits_of_those_in_memory(string type, int matrices)
    {
        var row = Families.First(family => (string)family[0] == type);
        Write(type, (string)row[1], (bool)row[2]);
        var folder = Path.Combine(_temp, "nf4");
        ModelQuantizer.Quantize(_temp, folder, new QuantizeOptions());
        float[] Gradients(string source, bool stream, StreamReads reads)
        {
            using var model = CausalModel.Load(source,
                new ModelLoadOptions { Quantize = QuantizeKind.Nf4, Engine = EngineKind.Fast, Compute = ComputeKind.Float32, Stream = stream,
                StreamReads = reads });
            Inject(model, own: false);
            model.ForwardBackward(FastRun.Batch(96, false), 0.125, new StepKey(1, 2, 3));
            return model.Parameters.GradientSpan.ToArray();
        }
        var expected = Gradients(_temp, false, StreamReads.Auto);
        foreach (var reads in (StreamReads[])[StreamReads.Direct, StreamReads.Mapped]) Assert.Equal(expected, Gradients(folder, true, reads));
        // All matrices of a layer are read, experts among them.
        using var streamed = CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.Nf4, Engine = EngineKind.Fast, Stream = true });
        Assert.Equal(matrices, new StreamedLayout(streamed).Weights.Sum(layer => layer.Count));
    }

    [SkippableFact, Trait("ring", "slow")]
    public void Codes_of_other_tools_are_streamed_from_their_mapped_file()
    {
        var folder = ReferenceData.Transformers("models", "gpt_oss_mxfp4");
        float[] Gradients(bool stream)
        {
            using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = EngineKind.Fast, Compute = ComputeKind.Float32, Stream = stream });
            Inject(model, own: false);
            model.ForwardBackward(FastRun.Batch(96, false), 0.125, new StepKey(1, 2, 3));
            Assert.Equal(stream, model.Engine.Streaming?.Contains("mapped", StringComparison.Ordinal) ?? false);
            return model.Parameters.GradientSpan.ToArray();
        }
        Assert.Equal(Gradients(false), Gradients(true));
    }

    [Theory, InlineData(ComputeKind.BFloat16), InlineData(ComputeKind.Int8)]
    public void Narrow_products_stay_near_the_exact_ones(ComputeKind compute)
    {
        Write("qwen3_moe", (string)Families.First()[1], true);
        var exact = Step(EngineKind.Fast, false, true, true);
        var narrow = Step(EngineKind.Fast, false, true, true, compute);
        Assert.InRange(Math.Abs(exact.Loss - narrow.Loss) / exact.Loss, 1e-9, 0.02);
        double dot = 0, square = 0, other = 0;
        foreach (var (name, values) in exact.Gradients)
            foreach (var (a, b) in values.Zip(narrow.Gradients[name]))
                (dot, square, other) = (dot + a * (double)b, square + a * (double)a, other + b * (double)b);
        Assert.InRange(dot / Math.Sqrt(square * other), 0.95, 1);
    }

    [Fact]
    public void The_comparison_fails_where_a_single_expert_is_off()
    {
        Write("qwen3_moe", (string)Families.First()[1], true);
        var expected = Step(EngineKind.Reference, false, true, false);
        var moved = Step(EngineKind.Fast, false, true, false, change: model =>
        {
            var adapter = model.Layers[1].Experts!.DownAdapter!;
            model.Parameters.ValuesOf(adapter.B)[2] *= 1.01f;
        });
        Assert.Contains(expected.Gradients, pair => Golden.LargestDifference(pair.Value, moved.Gradients[pair.Key]) > FastRun.Gate * pair.Value.Max(Math.Abs));
    }

    // Scores that nothing divides make noise grow, as in the goldens.
    private static bool IsNoisy(string type) => type == "gemma4_text";

    private void Write(string type, string keys, bool perExpert)
        => RandomModel.Write(_temp, $$"""{"model_type": "{{type}}", {{Sizes}}, {{keys}}}""", perExpert);

    private static void Inject(CausalModel model, bool own, bool drops = false)
    {
        var spec = own
            ? new LoraSpec { Rank = 3, Alpha = 6, Dropout = drops ? 0.3 : 0,
                Targets = TargetModules.OfNames(model.Config.ModelType switch
                {
                    "mixtral" => ["q_proj", "v_proj", "w1", "w2", "w3"],
                    "lfm2_moe" => ["q_proj", "w1", "w2", "w3"],
                    "nemotron_h" => ["q_proj", "o_proj", "up_proj", "down_proj"],
                    "deepseek_v3" => ["q_a_proj", "kv_b_proj", "gate_proj", "up_proj", "down_proj"],
                    _ => ["q_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
                }) }
            : new LoraSpec { Rank = 3, Alpha = 6, TargetParameters = model.Config.ModelType switch
            {
                "granitemoe" or "granitemoehybrid" => ["input_linear.weight", "output_linear.weight"],
                "nemotron_h" => ["experts.up_proj", "experts.down_proj"],
                _ => ["experts.gate_up_proj", "experts.down_proj"],
            } };
        AdapterInjector.Inject(model, spec, 1);
        FastRun.Randomize(model);
    }

    private (double Loss, Dictionary<string, float[]> Gradients) Step(EngineKind engine, bool own, bool recompute, bool everyRow,
        ComputeKind compute = ComputeKind.Float32, Action<CausalModel>? change = null) =>
        FastRun.Step(_temp, engine, recompute, everyRow, model =>
        {
            Inject(model, own, recompute);
            change?.Invoke(model);
        }, compute);
}
