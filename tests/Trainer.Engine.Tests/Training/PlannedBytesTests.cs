using CsCheck;
using Trainer.Adapters;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Streaming;
using Trainer.Engine.Passes;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Lora;
using Trainer.Training;
using Trainer.Training.Plan;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>What the plan counts from config.json and options is, to the byte, what the engine allocates for the loaded model.</summary>
[Trait("ring", "model")]
public sealed class PlannedBytesTests : IDisposable
{
    private static readonly string[] Families = ["llama31", "qwen2", "qwen3", "phi3", "gemma2", "gemma3", "olmo2", "granite", "smollm3", "mistral_sw8",
        "llama_bias", "llama_bf16", "mixture", "mixture", "sinks", "convolution", "delta", "packed", "latent", "states", "blocks",
        "small inputs", "beside", "two mixers", "one part"];

    private static readonly Dictionary<string, string> Written = new()
    {
        ["mixture"] =
            """{"model_type": "qwen2_moe", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 192, "num_experts": 6, "num_experts_per_tok": 2, "decoder_sparse_step": 2, "max_position_embeddings": 128, "torch_dtype": "float32"}""",
        ["sinks"] =
            """{"model_type": "gpt_oss", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 64, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 6, "max_position_embeddings": 128, "torch_dtype": "float32"}""",
        ["convolution"] =
            """{"model_type": "lfm2", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "block_auto_adjust_ff_dim": false, "layer_types": ["conv", "full_attention", "conv"], "max_position_embeddings": 128, "torch_dtype": "float32"}""",
        ["delta"] =
            """{"model_type": "qwen3_5_text", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 32, "layer_types": ["linear_attention", "full_attention", "linear_attention"], "max_position_embeddings": 128, "torch_dtype": "float32"}""",
        ["latent"] =
            """{"model_type": "deepseek_v3", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 128, "moe_intermediate_size": 64, "q_lora_rank": 32, "kv_lora_rank": 48, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1, "max_position_embeddings": 128, "torch_dtype": "float32"}""",
        ["states"] =
            """{"model_type": "granitemoehybrid", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64, "shared_intermediate_size": 128, "num_local_experts": 0, "mamba_n_heads": 8, "mamba_d_state": 16, "mamba_n_groups": 2, "layer_types": ["mamba", "attention", "mamba"], "max_position_embeddings": 128, "torch_dtype": "float32"}""",
        ["blocks"] =
            """{"model_type": "llama4_text", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 64, "intermediate_size_mlp": 128, "num_local_experts": 4, "num_experts_per_tok": 1, "interleave_moe_layer_step": 2, "attention_chunk_size": 9, "no_rope_layers": [1, 0, 1], "max_position_embeddings": 128, "torch_dtype": "float32"}""",
        ["small inputs"] =
            """{"model_type": "gemma4_text", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "global_head_dim": 32, "intermediate_size": 64, "use_double_wide_mlp": true, "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 64, "vocab_size_per_layer_input": 96, "attention_k_eq_v": true, "num_global_key_value_heads": 1, "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"], "max_position_embeddings": 128, "dtype": "float32"}""",
        ["beside"] =
            """{"model_type": "gemma4_text", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "global_head_dim": 32, "intermediate_size": 128, "moe_intermediate_size": 64, "enable_moe_block": true, "num_experts": 4, "top_k_experts": 2, "hidden_size_per_layer_input": 0, "sliding_window": 6, "layer_types": ["sliding_attention", "sliding_attention", "full_attention"], "max_position_embeddings": 128, "dtype": "float32"}""",
        ["two mixers"] =
            """{"model_type": "falcon_h1", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "mamba_n_heads": 8, "mamba_d_ssm": 128, "mamba_d_state": 16, "mamba_n_groups": 2, "mamba_rms_norm": true, "attention_in_multiplier": 0.5, "ssm_in_multiplier": 0.5, "mlp_multipliers": [0.5, 2], "ssm_multipliers": [1, 0.5, 1, 2, 1], "max_position_embeddings": 128, "torch_dtype": "float32"}""",
        ["one part"] =
            """{"model_type": "nemotron_h", "vocab_size": 96, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "layers_block_type": ["mamba", "moe", "attention", "mlp"], "mamba_num_heads": 8, "mamba_head_dim": 16, "n_groups": 2, "ssm_state_size": 16, "n_routed_experts": 4, "moe_intermediate_size": 64, "moe_shared_expert_intermediate_size": 192, "moe_latent_size": 64, "num_experts_per_tok": 2, "max_position_embeddings": 128, "torch_dtype": "float32"}""",
        ["packed"] =
            """{"model_type": "qwen3_next", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64, "num_experts": 4, "num_experts_per_tok": 2, "mlp_only_layers": [0], "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 32, "layer_types": ["linear_attention", "linear_attention", "full_attention"], "max_position_embeddings": 128, "torch_dtype": "float32"}""",
    };

    private static readonly string[] Targets =
    [
        "all-linear", "q_proj", "q_proj,v_proj", "down_proj", "o_proj,gate_proj", "v_proj", "lm_head,o_proj", "embed_tokens", "embed_tokens,o_proj",
        "gate_proj,down_proj,v_proj", @".*\.(1|2)\.(self_attn|mlp)\.[a-z_]*proj",
    ];
    private static readonly string[] Saved = ["lm_head", "embed_tokens", "norm", "q_proj", "v_proj", "down_proj", "input_layernorm", "model.norm", "mlp"];

    private static readonly string Temp = Directory.CreateTempSubdirectory("planned-bytes-").FullName;

    private readonly Dictionary<string, CausalModel> _models = [];

    private sealed record Case(string Family, TrainingOptions Options, int[] Lengths, int LossPercent, bool Recompute);

    private static readonly Gen<LoraOptions> Loras =
        from rank in Gen.Int[1, 9]
        from targets in Any(Targets)
        from layers in Any<int?>(null, null, 1, 2)
        from chosen in Any<int[]?>(null, null, null, [0], [1], [0, 2])
        from saved in Any(Saved).Array[0, 2]
        from isSaved in Gen.Int[0, 2]
        from pattern in Any("", "q_proj", "proj", @"layers\.1\..*", "mlp.down_proj")
        from dora in Gen.Int[0, 3]
        from dropout in Any(0.0, 0.0, 0.1)
        from parameters in Any<string[]>([], [], [], ["experts.gate_up_proj"], ["experts.down_proj", "experts.gate_up_proj"])
        from bias in Gen.Enum<BiasMode>()
        from loraBias in Gen.Int[0, 4]
        select new LoraOptions
        {
            Rank = rank,
            TargetModules = targets.StartsWith('.') ? [targets] : targets.Split(','),
            Layers = chosen is null ? layers : null,
            LayersToTransform = chosen,
            ModulesToSave = isSaved == 0 ? [.. saved.Distinct()] : [],
            RankPattern = pattern.Length == 0 ? new Dictionary<string, int>() : new Dictionary<string, int> { [pattern] = 3, ["q_proj"] = 5 },
            AlphaPattern = pattern.Length == 0 ? new Dictionary<string, double>() : new Dictionary<string, double> { [pattern] = 7 },
            UseDora = dora == 0,
            Dropout = dropout,
            Bias = bias,
            LoraBias = loraBias == 0,
            TargetParameters = parameters,
        };

    private static readonly Gen<Case> Cases =
        from family in Any(Families)
        from lora in Loras
        from quantize in Gen.Enum<QuantizeKind>()
        from isDouble in Gen.Bool
        from compute in Any(ComputeKind.Float32, ComputeKind.Float32, ComputeKind.BFloat16, ComputeKind.Int8)
        from lengths in Gen.Int[2, 24].Array[1, 4]
        from loss in Gen.Int[5, 100]
        from recompute in Gen.Bool
        select new Case(family, new TrainingOptions
        {
            Model = family,
            ModelDirectory = Folder(family),
            Data = new Trainer.Data.DataOptions(),
            OutputDirectory = "o",
            Lora = lora,
            Quantize = quantize,
            DoubleQuant = isDouble,
            Compute = compute,
            GradientCheckpointing = recompute ? Checkpointing.On : Checkpointing.None,
        }, lengths, loss, recompute);

    private static string Folder(string family)
    {
        if (!Written.TryGetValue(family, out var config)) return Golden.Folder(family);
        var folder = Path.Combine(Temp, family);
        if (!Directory.Exists(folder)) RandomModel.Write(Directory.CreateDirectory(folder).FullName, config, perExpert: family == "mixture");
        return folder;
    }

    private static Gen<T> Any<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    [Fact]
    public void Planned_bytes_are_allocated_bytes_for_any_options() => Compare(500);

    [Fact, Trait("ring", "slow")]
    public void Planned_bytes_are_allocated_bytes_for_many_more_options() => Compare(1500);

    private void Compare(int sets)
    {
        var (fast, reference, seen) = (0, 0, new HashSet<string>());
        Cases.Sample(one =>
        {
            AdapterBlueprint drawn;
            try
            {
                drawn = RunAdapter.Of(one.Options, ConfigLoader.Load(one.Options.ModelDirectory));
            }
            catch (AdapterOptionException)
            {
                // A target or module to save that this family does not have.
                return;
            }
            if (!Run(one, drawn))
            {
                reference++;
                return;
            }
            fast++;
            seen.Add(one.Family);
        }, iter: sets, threads: 1);
        var families = Families.Distinct().Count();
        Assert.InRange(seen.Count, sets < 1500 ? families - 3 : families, families);
        Assert.True(fast >= sets / 3, $"only {fast} option sets reached the fast engine");
        Assert.True(reference >= sets / 150, $"only {reference} option sets reached the reference engine");
    }

    [Fact]
    public void A_streamed_layer_takes_the_bytes_that_the_plan_reads_for_it_and_its_pass_the_same_buffers()
    {
        var folder = Directory.CreateTempSubdirectory("streamed-").FullName;
        try
        {
            RandomModelFolder.Write(folder, new ModelShape("six", 64, 6, 4, 2, 16, 192, 300, false), 7);
            var options = new TrainingOptions
            {
                Model = "six", ModelDirectory = folder, Data = new Trainer.Data.DataOptions(), OutputDirectory = "o",
                Lora = new LoraOptions { Rank = 3, Layers = 2 },
                Stream = Choice.On, Compute = ComputeKind.Float32, GradientCheckpointing = Checkpointing.On, Threads = TorchSharp.torch.get_num_threads(),
            };
            var memory = new RunMemory(RunAdapter.Of(options, ConfigLoader.Load(folder)), options);
            using var model = CausalModel.Load(folder, AdaptedModel.LoadOptions(options));
            AdapterInjector.Inject(model, RunAdapter.SpecOf(options.Lora, model.Config.LayerCount), 1);
            Assert.Equal(memory.LayerBytes, new StreamedLayout(model).Weights.Max(layer => layer.Sum(weight => weight.MappedParts.Sum(part => part.Length))));
            Assert.Equal(memory.MatrixBytes, model.WeightBytes);
            var one = new Case("six", options, [9, 14], 100, true);
            model.ForwardBackward(Batch(one, 300), 1, new StepKey(1, 0, 0));
            var engine = (FastEngine)model.Engine;
            Assert.Equal(memory.StepParts(BatchShape.OfRows(23, 21, 14), true).Sum(part => part.Bytes), engine.AllocatedBytes);
            // Three that go together lie beside that block.
            var before = engine.AllocatedBytes;
            model.ForwardBackward([Batch(one, 300), Batch(one, 300), Batch(one, 300)], 1, [new StepKey(1, 0, 0), new StepKey(1, 0, 1), new StepKey(1, 0, 2)]);
            Assert.Equal((before, 3 * memory.OwnBytes(BatchShape.OfRows(23, 21, 14))), (engine.AllocatedBytes, engine.OwnBytes));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void No_pass_writes_beyond_a_buffer_or_reads_what_nobody_wrote()
    {
        var passes = 0;
        Cases.Sample(one =>
        {
            var options = one.Options;
            AdapterBlueprint drawn;
            try
            {
                drawn = RunAdapter.Of(options, ConfigLoader.Load(options.ModelDirectory));
            }
            catch (AdapterOptionException)
            {
                return;
            }
            var model = Model(options);
            if (FastCapabilities.Refusal(drawn) is not null) return;
            AdapterInjector.Inject(model, RunAdapter.SpecOf(options.Lora, model.Config.LayerCount), 1);
            using var engine = new FastEngine(model, guard: 256);
            var batch = Batch(one, model.Config.VocabularySize);
            Assert.All(engine.TokenLosses(batch), loss => Assert.True(float.IsFinite(loss)));
            Assert.Empty(engine.Overrun());
            engine.Logits(batch).Dispose();
            Assert.Empty(engine.Overrun());
            Assert.True(double.IsFinite(engine.ForwardBackward(batch, 1, new StepKey(1, 0, 0)).LossSum));
            Assert.Empty(engine.Overrun());
            foreach (var value in model.Parameters.GradientSpan.ToArray()) Assert.True(float.IsFinite(value));
            passes++;
        }, iter: 300, threads: 1);
        Assert.True(passes > 100, $"only {passes} option sets ran");
    }

    // Whether the hand-written engine computed it.
    private bool Run(Case one, AdapterBlueprint drawn)
    {
        var options = one.Options with { Threads = TorchSharp.torch.get_num_threads() };
        var memory = new RunMemory(drawn, options);
        var model = Model(options);
        AdapterInjector.Inject(model, RunAdapter.SpecOf(options.Lora, model.Config.LayerCount), 1);
        Assert.Equal(drawn.ParameterCount, model.Parameters.ParameterCount);
        Assert.Equal(memory.ParameterBytes, model.Parameters.Length * sizeof(float));
        Assert.Equal(memory.MatrixBytes, model.WeightBytes);
        Assert.Equal(drawn.Decoder.ParameterCount, model.ParameterCount);
        var batch = Batch(one, model.Config.VocabularySize);
        var shape = BatchShape.OfRows(batch.Length, batch.TrainedTokens, one.Lengths.Max());
        if (memory.Refusal is not null)
        {
            Assert.Equal(memory.Refusal, FastCapabilities.Refusal(model));
            Assert.Contains("reference engine, estimated", Assert.Single(memory.StepParts(shape, one.Recompute)).Name, StringComparison.Ordinal);
            return false;
        }
        using var engine = new FastEngine(model);
        engine.TokenLosses(batch);
        Assert.Equal(memory.ForwardBytes(shape), engine.AllocatedBytes);
        using var trained = new FastEngine(model);
        trained.ForwardBackward(batch, 1, new StepKey(1, 0, 0));
        var planned = memory.StepParts(shape, one.Recompute).Where(part => part.Name != "compiled products").Sum(part => part.Bytes);
        Assert.Equal(planned, trained.AllocatedBytes);
        return true;
    }

    private CausalModel Model(TrainingOptions options)
    {
        var key = $"{options.Model} {options.Quantize} {options.DoubleQuant} {options.Compute} {options.GradientCheckpointing}";
        if (_models.TryGetValue(key, out var known)) return known;
        return _models[key] = CausalModel.Load(options.ModelDirectory, AdaptedModel.LoadOptions(options));
    }

    private static TokenBatch Batch(Case one, int vocabulary) => TokenBatch.OfRows([.. one.Lengths.Select(length =>
    {
        int[] ids = [.. Enumerable.Range(0, length).Select(i => (i * 7 + 3) % Math.Min(vocabulary, 200))];
        return (ids, (int[])[.. ids.Select((id, i) => i == length - 1 || i * 100 < length * one.LossPercent ? id : TokenBatch.IgnoredTarget)]);
    })]);

    public void Dispose()
    {
        foreach (var model in _models.Values) model.Dispose();
        if (Directory.Exists(Temp)) Directory.Delete(Temp, recursive: true);
    }
}
