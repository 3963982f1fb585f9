using Trainer.Adapters;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Streaming;
using Trainer.Engine.Generation;
using Trainer.Engine.Quantize;
using Trainer.Engine.Tests.Fast.FakeDevice;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Models.Lora;
using Trainer.Models.Parts;

namespace Trainer.Engine.Tests.Fast;

/// <summary>Token mixers other than attention by hand against the reference engine, over the processor's kernels and over libtorch's operations.</summary>
[Trait("ring", "model")]
public sealed class FastMixerTests : IDisposable
{
    private readonly string _temp = Directory.CreateTempSubdirectory("fast-mixer-").FullName;

    public static TheoryData<string> Families => new(Configs.Keys);

    private static Dictionary<string, string> Configs { get; } = new()
    {
        ["convolution"] = Lfm2("conv", 3, bias: false),
        // The last layer, whose rows without loss fall away, is a convolution; rows shorter than the taps are in every batch.
        ["delta"] = Delta("qwen3_5_text", "linear_attention", "\"intermediate_size\": 48"),
        ["delta packed, with experts"] = Delta("qwen3_next", "full_attention",
            "\"intermediate_size\": 48, \"moe_intermediate_size\": 24, \"shared_expert_intermediate_size\": 40, \"num_experts\": 5, \"num_experts_per_tok\": "
            + "2, \"mlp_only_layers\": [1]"),
        ["growing queries"] = Plain("ministral3", "\"head_dim\": 16, \"rope_parameters\": {\"rope_type\": \"yarn\", \"rope_theta\": 10000, \"factor\": 4, "
            + "\"original_max_position_embeddings\": 16, \"mscale\": 1, \"mscale_all_dim\": 1, \"llama_4_scaling_beta\": 0.4}"),
        ["norms behind the turn"] = Plain("hunyuan_v1_dense", "\"head_dim\": 8, \"rms_norm_eps\": 0.01"),
        ["blocks"] = Plain("llama4_text", "\"head_dim\": 8, \"intermediate_size_mlp\": 48, \"interleave_moe_layer_step\": 9, \"attention_chunk_size\": 7, "
            + "\"no_rope_layers\": [1, 0, 1], \"floor_scale\": 5, \"attn_scale\": 0.3"),
        ["mamba"] = Granite("\"mamba\", \"attention\", \"mamba\"", 2, "\"mamba_proj_bias\": true"),
        // Steps that are cut off at either end, one group for all heads.
        ["mamba, steps cut off"] = Granite("\"mamba\", \"mamba\", \"attention\"", 1, "\"time_step_limit\": [1.1, 1.7], \"mamba_conv_bias\": false"),
        ["latent"] = Latent(12, 10, 6, 9, "\"q_lora_rank\": 20"),
        // Halves in place of neighbours, no small vector of queries, values that are wider than keys.
        ["latent, wide values"] = Latent(5, 4, 8, 16, "\"rope_interleave\": false"),
        ["latent, even"] = Latent(12, 4, 4, 8, "\"q_lora_rank\": 7"),
        // A small input for each layer; the last layers, of either kind, use keys and values of earlier ones, one source serves two; dense blocks of two
        // widths.
        ["gemma 4"] = Gemma4(5, "\"sliding_attention\", \"full_attention\", \"sliding_attention\", \"sliding_attention\", \"full_attention\"",
            "\"num_kv_shared_layers\": 3, \"use_double_wide_mlp\": true, \"hidden_size_per_layer_input\": 6, \"vocab_size_per_layer_input\": 90"),
        ["gemma 4, keys as values"] = Gemma4(3, "\"full_attention\", \"sliding_attention\", \"full_attention\"",
            "\"attention_k_eq_v\": true, \"num_global_key_value_heads\": 1, \"attention_bias\": true, \"hidden_size_per_layer_input\": 0"),
        ["gemma 4, experts"] = Gemma4(3, "\"sliding_attention\", \"sliding_attention\", \"full_attention\"",
            "\"hidden_size_per_layer_input\": 0, \"enable_moe_block\": true, \"num_experts\": 5, \"top_k_experts\": 2, \"moe_intermediate_size\": 24"),
        ["squares"] = Plain("arcee", "\"head_dim\": 8, \"hidden_act\": \"relu2\", \"mlp_bias\": true"),
        ["mamba beside attention"] = Falcon("""
            "mamba_rms_norm": true, "mamba_norm_before_gate": false, "mamba_n_groups": 2, "attention_bias": true, "mlp_bias": true, "mamba_proj_bias": true,
            "attention_in_multiplier": 0.7, "attention_out_multiplier": 1.4, "ssm_in_multiplier": 1.2, "ssm_out_multiplier": 0.6, "key_multiplier": 0.5,
            "mlp_multipliers": [0.8, 1.3], "ssm_multipliers": [0.9, 1.1, 0.7, 1.3, 0.6], "embedding_multiplier": 2.5, "lm_head_multiplier": 0.4
            """),
        ["mamba beside attention, normed first"] = Falcon("""
            "mamba_rms_norm": true, "mamba_n_groups": 2, "projectors_bias": true, "ssm_out_multiplier": 0.6
            """),
        ["mamba beside attention, gated alone"] = Falcon("\"mamba_n_groups\": 1, \"mamba_conv_bias\": false, \"attention_in_multiplier\": 1.5"),
        ["mamba, one part a layer"] = Nemotron("M-*M*-"),
        // The last layer, whose rows without loss fall away, is each kind once; so is the first.
        ["mamba, one part a layer, first a block"] = Nemotron("-M*"),
        ["mamba, one part a layer, last"] = Nemotron("*-M"),
        ["blocks alone"] = Nemotron("--"),
        ["mamba alone"] = Nemotron("M"),
        ["gemma 4, one window"] = Gemma4(4, "\"full_attention\", \"full_attention\", \"full_attention\", \"full_attention\"",
            "\"attention_k_eq_v\": true, \"num_kv_shared_layers\": 3, \"hidden_size_per_layer_input\": 4, \"vocab_size_per_layer_input\": 1"),
        ["convolution last"] = Lfm2("full_attention", 4, bias: true),
    };

    private static ModelLoadOptions Recomputed { get; } = new() { Engine = EngineKind.Fast, GradientCheckpointing = true, Compute = ComputeKind.Float32 };

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory, MemberData(nameof(Families))]
    public void Every_gradient_equals_the_reference_engines(string name) => CompareGradients(name, (false, true, false), (true, false, false));

    [Theory, MemberData(nameof(Families)), Trait("ring", "slow")]
    public void Every_gradient_equals_the_reference_engines_in_every_way(string name)
        => CompareGradients(name, (false, false, true), (false, false, false));

    private void CompareGradients(string name, params (bool Dora, bool Recompute, bool EveryRow)[] ways)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        foreach (var (dora, recompute, everyRow) in ways)
        {
            // Some rows are longer than a chunk of the delta rule, and end inside one.
            int[] lengths = [150, 5, 64, 33, 1];
            var expected = FastRun.Step(_temp, EngineKind.Reference, recompute, everyRow, model => Inject(model, dora, everyRow), lengths: lengths);
            Assert.All(expected.Gradients, pair => Assert.True(pair.Value.Max(Math.Abs) > 0,
                $"{pair.Key} has no gradient, so the comparison would say nothing"));
            foreach (var engine in FastRun.Hand)
                FastRun.AssertClose(expected, FastRun.Step(_temp, engine, recompute, everyRow, model => Inject(model, dora, everyRow), lengths: lengths),
                    $"{engine}, DoRA {dora}, recompute {recompute}, every row {everyRow}", GradientGate(name));
        }
    }

    [Theory, MemberData(nameof(Families))]
    public void Packed_rows_are_rows_apart_and_decoding_is_the_whole_pass(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        FastRun.AssertRows(_temp, IsRecurrent(name) ? 3e-5 : name.StartsWith("mamba", StringComparison.Ordinal) ? 2e-5 : 1e-5);
    }

    [Theory, MemberData(nameof(Families))]
    public void Recomputing_and_keeping_give_the_same_bits_whatever_the_threads(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        var kept = FastRun.Step(_temp, EngineKind.Fast, false, false, model => Inject(model, false, false));
        var threads = TorchSharp.torch.get_num_threads();
        try
        {
            TorchSharp.torch.set_num_threads(threads == 1 ? 2 : 1);
            var recomputed = FastRun.Step(_temp, EngineKind.Fast, true, false, model => Inject(model, false, false));
            Assert.Equal(kept.Loss, recomputed.Loss);
            foreach (var (tensor, values) in kept.Gradients) Assert.Equal(values, recomputed.Gradients[tensor]);
        }
        finally
        {
            TorchSharp.torch.set_num_threads(threads);
        }
    }

    // The embedding, every matrix and every norm, those of the parts among them.
    [Theory, MemberData(nameof(Families))]
    public void Modules_saved_whole_have_the_reference_engines_gradients(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        void Save(CausalModel model) => AdapterInjector.Inject(model, new LoraSpec { Rank = 3, Targets = TargetModules.OfNames(["lm_head"]),
            ModulesToSave = [.. model.Blueprint.Modules.Where(module => module.Role != ModuleRole.Head && (module.Kind is ModuleKind.Linear or ModuleKind.Norm
                || module.Role == ModuleRole.Embedding)).Select(module => module.Name).Distinct()] }, 1);
        foreach (var recompute in (bool[])[true, false])
        {
            int[] lengths = [21, 5, 66, 1];
            var expected = FastRun.Step(_temp, EngineKind.Reference, recompute, recompute, Save, lengths: lengths);
            // An adapter's A has no gradient while its B is 0.
            Assert.All(expected.Gradients,
                pair => Assert.True(pair.Value.Max(Math.Abs) > 0 || pair.Key.Contains("lora_A", StringComparison.Ordinal), pair.Key));
            foreach (var engine in FastRun.Hand)
                FastRun.AssertClose(expected, FastRun.Step(_temp, engine, recompute, recompute, Save, lengths: lengths), $"{engine}, recompute {recompute}",
                    GradientGate(name));
        }
    }

    [Theory, MemberData(nameof(Families))]
    public void Batches_that_take_turns_layer_by_layer_have_the_bits_of_one_after_another(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        using var model = CausalModel.Load(_temp, Recomputed);
        Inject(model, false, false);
        TokenBatch[] batches = [Measured(FastRun.Batch(96, false)), Measured(FastRun.Batch(96, true, [4, 40])), Measured(FastRun.Batch(96, false, [13]))];
        StepKey?[] keys = [null, null, null];
        var apart = batches.Select(batch => model.ForwardBackward(batch, 0.25).LossSum).ToArray();
        float[][] expected = [model.Parameters.GradientSpan.ToArray(), .. batches.Select(batch => batch.LogitMeans!.ToArray())];
        Assert.All(expected, values => Assert.Contains(values, value => value != 0));
        foreach (var batch in batches) Array.Clear(batch.LogitMeans!);
        model.Parameters.ZeroGradients();
        Assert.Equal(apart, model.ForwardBackward(batches, 0.25, keys).Select(result => result.LossSum));
        Assert.Equal(expected, [model.Parameters.GradientSpan.ToArray(), .. batches.Select(batch => batch.LogitMeans!)]);
    }

    [Theory, MemberData(nameof(Families))]
    public void A_base_in_4_bits_that_is_read_from_disk_has_the_bits_of_one_in_memory(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        var folder = Path.Combine(_temp, "nf4");
        ModelQuantizer.Quantize(_temp, folder, new QuantizeOptions());
        float[] Gradients(string source, bool stream, StreamReads reads)
        {
            using var model = CausalModel.Load(source, Recomputed with { Quantize = QuantizeKind.Nf4, Stream = stream, StreamReads = reads });
            Inject(model, false, true);
            model.ForwardBackward(FastRun.Batch(96, false), 0.125, new StepKey(1, 2, 3));
            return model.Parameters.GradientSpan.ToArray();
        }
        var expected = Gradients(_temp, false, StreamReads.Auto);
        foreach (var reads in (StreamReads[])[StreamReads.Direct, StreamReads.Mapped]) Assert.Equal(expected, Gradients(folder, true, reads));
    }

    // The way back ends at the layer, whatever it is: a source of keys and values, one that uses another's, a mixer or a block alone.
    [Theory, InlineData("gemma 4"), InlineData("gemma 4, experts"), InlineData("mamba beside attention"), InlineData("mamba, one part a layer")]
    public void Adapters_of_one_layer_have_the_reference_engines_gradients(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        for (var layer = 0; layer < ConfigLoader.Load(_temp).LayerCount; layer++)
        {
            void Inject(CausalModel model)
            {
                AdapterInjector.Inject(model, new LoraSpec { Rank = 3, Targets = TargetModules.AllLinear, LayersToTransform = [layer] }, 1);
                FastRun.Randomize(model);
                Assert.Equal(layer, model.Adapter.LowestLayer);
            }
            foreach (var recompute in (bool[])[true, false])
                FastRun.AssertClose(FastRun.Step(_temp, EngineKind.Reference, recompute, false, Inject),
                    FastRun.Step(_temp, EngineKind.Fast, recompute, false, Inject), $"layer {layer}, recompute {recompute}", GradientGate(name));
        }
    }

    // Prompts beside single tokens, texts that wait, and texts that begin alike; whole passes are the other way to the same tokens.
    [Theory, MemberData(nameof(Families))]
    public void Texts_made_together_are_those_of_whole_passes(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        using var model = CausalModel.Load(_temp, Recomputed);
        int[][] prompts = [[1, 17, 90, 33, 4], [5, 77, 13], [1, 17, 90, 33, 4], [9, 8, 7, 6, 5, 4, 3, 2, 1], [1, 17, 90, 2]];
        var texts = TextBatch.Continue(model, prompts, index => new SamplingOptions { MaxTokens = 3 + 2 * index, StopIds = [] }, size: 3);
        for (var index = 0; index < prompts.Length; index++)
        {
            List<int> text = [.. prompts[index]];
            for (var i = 0; i < 3 + 2 * index; i++)
            {
                using var logits = model.Logits(TokenBatch.OfTokens([.. text]));
                var row = logits.data<float>().ToArray()[^96..];
                text.Add(Array.IndexOf(row, row.Max()));
            }
            Assert.Equal(text.Skip(prompts[index].Length), texts[index]);
        }
    }

    // The mean logit of each token is asked for.
    private static TokenBatch Measured(TokenBatch plain) =>
        new(plain.TokenIds, plain.Targets, plain.Positions, plain.SegmentStarts, plain.SegmentWeights) { LogitMeans = new float[plain.Length] };

    [Theory, MemberData(nameof(Families))]
    public void A_device_that_runs_behind_has_the_processors_bits(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        using var model = CausalModel.Load(_temp, Recomputed);
        Inject(model, false, true);
        var (batch, key) = (FastRun.Batch(96, false), new StepKey(1, 2, 3));
        var loss = model.ForwardBackward(batch, 0.125, key).LossSum;
        var expected = model.Parameters.GradientSpan.ToArray();
        model.Parameters.ZeroGradients();
        using var engine = new FastEngine(model, kernels: FakeKernels.WithSeed(3));
        Assert.Equal(loss, engine.ForwardBackward(batch, 0.125, key).LossSum);
        Assert.Equal(expected, model.Parameters.GradientSpan.ToArray());
        using FastDecoder here = new(model, (FastEngine)model.Engine), there = new(model, engine);
        foreach (var count in (int[])[9, 1, 60, 1])
        {
            int[] ids = [.. Enumerable.Range(0, count).Select(i => i * 37 % 90)];
            Assert.Equal(here.Next(ids).ToArray(), there.Next(ids).ToArray());
        }
    }

    // States add up over a row, in another order here and there; of the scan alone see StateScanTests. Scores of queries and keys of length 1 that nothing
    // divides, as in Gemma 4, make noise grow too.
    private static double GradientGate(string name) => IsRecurrent(name) || name.StartsWith("gemma 4", StringComparison.Ordinal) ? 1e-3
        : name.StartsWith("mamba", StringComparison.Ordinal) ? 5 * FastRun.Gate : FastRun.Gate;

    // Keys of length 1 make noise grow where their heads are short, as in the goldens: the kernels alone are held to 1e-5 of float64, see DeltaRuleTests.
    private static bool IsRecurrent(string name) => name.StartsWith("delta", StringComparison.Ordinal);

    private static string Plain(string type, string more) => $$"""
        {"model_type": "{{type}}", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
         "intermediate_size": 48, "tie_word_embeddings": false, {{more}}}
        """;

    private static string Granite(string layers, int groups, string more) => $$"""
        {"model_type": "granitemoehybrid", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
         "intermediate_size": 48, "shared_intermediate_size": 40, "num_local_experts": 0, "attention_multiplier": 0.2, "residual_multiplier": 0.7, "embedding_multiplier": 3, "logits_scaling": 2,
         "mamba_n_heads": 8, "mamba_expand": 2, "mamba_d_state": 6, "mamba_d_conv": 4, "mamba_n_groups": {{groups}}, "layer_types": [{{layers}}], {{more}}}
        """;

    // The norms on the small vectors have an epsilon of their own.
    private static string Latent(int rank, int plain, int turned, int value, string more) => $$"""
        {"model_type": "deepseek_v3", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 128,
         "intermediate_size": 48, "rms_norm_eps": 0.01, "first_k_dense_replace": 3, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "attention_bias": true,
         "kv_lora_rank": {{rank}}, "qk_nope_head_dim": {{plain}}, "qk_rope_head_dim": {{turned}}, "v_head_dim": {{value}}, {{more}},
         "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 16, "mscale": 1.0, "mscale_all_dim": 0.7, "beta_fast": 32, "beta_slow": 1} }
        """;

    private static string Gemma4(int layers, string types, string more) => $$"""
        {"model_type": "gemma4_text", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": {{layers}}, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 16,
         "max_position_embeddings": 512, "intermediate_size": 48, "sliding_window": 7, "final_logit_softcapping": 5.0, "layer_types": [{{types}}], {{more}},
         "rope_parameters": {"full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.5, "rope_theta": 1000000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0} } }
        """;

    private static string Falcon(string more) => $$"""
        {"model_type": "falcon_h1", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
         "intermediate_size": 48, "mamba_n_heads": 6, "mamba_d_ssm": 30, "mamba_d_state": 7, "mamba_d_conv": 4, {{more}}}
        """;

    private static string Nemotron(string layers) => $$"""
        {"model_type": "nemotron_h", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
         "layer_norm_epsilon": 1e-3, "mamba_num_heads": 6, "mamba_head_dim": 5, "n_groups": 2, "ssm_state_size": 7, "conv_kernel": 4, "mlp_bias": true, "hybrid_override_pattern": "{{layers}}"}
        """;

    private static string Lfm2(string middle, int taps, bool bias) => $$"""
        {"model_type": "lfm2", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
         "intermediate_size": 48, "block_auto_adjust_ff_dim": false, "conv_L_cache": {{taps}}, "conv_bias": {{(bias ? "true" : "false")}}, "layer_types": ["conv", "{{middle}}", "{{(middle == "conv" ? "full_attention" : "conv")}}"]}
        """;

    private static string Delta(string type, string last, string keys) => $$"""
        {"model_type": "{{type}}", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512,
         "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 32, "linear_value_head_dim": 12, "linear_conv_kernel_dim": 4, "tie_word_embeddings": false,
         "layer_types": ["linear_attention", "{{(last == "linear_attention" ? "full_attention" : "linear_attention")}}", "{{last}}"], {{keys}}}
        """;

    private static void Inject(CausalModel model, bool dora, bool drops)
    {
        AdapterInjector.Inject(model, new LoraSpec { Rank = 3, Alpha = 6, UseDora = dora, Dropout = drops ? 0.3 : 0,
            Targets = TargetModules.Parse(["all-linear"]) }, 1);
        FastRun.Randomize(model);
    }
}
