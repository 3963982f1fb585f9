using Trainer.Adapters;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Fast;
using Trainer.Engine.Tests.Models;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed class FastGradientTests
{
    private const double EngineGate = FastRun.Gate;

    private static readonly EngineKind[] Hand = FastRun.Hand;

    public static TheoryData<string> Families
        => new("llama2", "llama31", "llama_bias", "llama_linear_rope", "mistral_sw8", "qwen2", "qwen3", "phi3", "phi3_partial_longrope", "granite", "smollm3",
            "gemma", "gemma2", "gemma3", "olmo2");

    [Theory, MemberData(nameof(Families))]
    public void Logits_and_losses_equal_the_goldens(string name)
    {
        foreach (var engine in Hand)
        {
            using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = engine });
            using var io = SafetensorsFile.Open(Golden.Folder(name, "io.safetensors"));
            using var logits = model.Logits(Golden.Batch(io, trimmed: false));
            Assert.Equal(engine.ToString(), model.Engine.Name, ignoreCase: true);
            Assert.InRange(Golden.LargestDifference(logits.data<float>().ToArray(), Golden.Floats(io, "logits")), 0, Golden.LogitGate);
            var batch = Golden.Batch(io, trimmed: true);
            var mean = model.TokenLosses(batch).Sum(loss => (double)loss) / batch.TrainedTokens;
            Assert.InRange(Math.Abs(mean - Golden.Expected(Golden.Folder(name)).GetProperty("loss").GetDouble()), 0, Golden.LossGate);
        }
    }

    public static TheoryData<string, bool, double> Cases
    {
        get
        {
            var data = new TheoryData<string, bool, double>();
            foreach (var family in Families)
            {
                data.Add(family, true, 0);
                data.Add(family, false, 0.3);
            }
            return data;
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void Every_gradient_equals_the_reference_engines(string name, bool checkpointing, double dropout)
    {
        foreach (var everyRow in (bool[])[false, true])
        {
            var expected = FastRun.Gradients(name, EngineKind.Reference, checkpointing, dropout, everyRow);
            Assert.All(expected.Gradients, pair => Assert.True(pair.Value.Max(Math.Abs) > 0,
                $"{pair.Key} has no gradient, so the comparison would say nothing"));
            foreach (var engine in Hand)
                FastRun.AssertClose(expected, FastRun.Gradients(name, engine, checkpointing, dropout, everyRow), $"of {name}, {engine}, every row {everyRow}");
        }
    }

    // llama31: subsets of rows; phi3: fused projections; qwen2: trained biases beside the magnitudes; gemma2: norms after the blocks; llama_bias: a bias on B.
    [Theory]
    [InlineData("llama31", true, 0)]
    [InlineData("llama31", false, 0.3)]
    [InlineData("phi3", true, 0.3)]
    [InlineData("qwen2", true, 0)]
    [InlineData("qwen2", false, 0.3)]
    [InlineData("gemma2", true, 0)]
    [InlineData("llama_bias", true, 0)]
    [InlineData("llama_bias", false, 0.3)]
    public void Every_gradient_of_dora_equals_the_reference_engines(string name, bool checkpointing, double dropout)
    {
        foreach (var everyRow in (bool[])[false, true])
        {
            var expected = FastRun.Gradients(name, EngineKind.Reference, checkpointing, dropout, everyRow, Grown, dora: true);
            Assert.Contains(expected.Gradients.Keys, tensor => tensor.Contains("magnitude", StringComparison.Ordinal));
            foreach (var engine in Hand)
                FastRun.AssertClose(expected, FastRun.Gradients(name, engine, checkpointing, dropout, everyRow, Grown, dora: true),
                    $"of {name}, {engine}, every row {everyRow}");
        }
        // Magnitudes start as the row norms, where the ratio is near 1 and an error in it would hide.
        static void Grown(CausalModel model)
        {
            foreach (var linear in model.Linears)
                foreach (ref var value in model.Parameters.ValuesOf(linear.Adapter!.Magnitude!)) value *= 1.1f;
        }
    }

    // gemma2: caps on scores and logits, an embedding that is multiplied.
    [Theory, InlineData("llama31"), InlineData("gemma2")]
    public void Smoothing_noise_and_weights_that_follow_the_losses_give_the_reference_engines_gradients(string name)
    {
        var plain = FastRun.Batch(256, everyRow: false);
        TokenBatch batch = new(plain.TokenIds, plain.Targets, plain.Positions, plain.SegmentStarts, plain.SegmentWeights)
        {
            LabelSmoothing = 0.1, EmbeddingNoise = 5, Weigh = losses => [.. losses.Select(loss => MathF.Exp(-loss / 4))],
        };
        var expected = FastRun.Gradients(name, EngineKind.Reference, true, 0, false, batch: batch);
        Assert.NotEqual(FastRun.Gradients(name, EngineKind.Reference, true, 0, false, batch: plain).Loss, expected.Loss, 1e-2);
        foreach (var engine in Hand) FastRun.AssertClose(expected, FastRun.Gradients(name, engine, true, 0, false, batch: batch), $"of {name}, {engine}");
    }

    [Fact]
    public void The_comparison_fails_where_a_single_tensor_is_off()
    {
        var expected = FastRun.Gradients("llama31", EngineKind.Reference, true, 0, false);
        // The control: the same engine on an adapter whose middle layer's B was moved by a thousandth.
        var moved = FastRun.Gradients("llama31", EngineKind.Fast, true, 0, false, model =>
        {
            foreach (ref var value in model.Parameters.ValuesOf(model.Layers[1].Up!.Adapter!.B)) value *= 1.001f;
        });
        Assert.Contains(expected.Gradients, pair => Golden.LargestDifference(pair.Value, moved.Gradients[pair.Key]) > EngineGate * pair.Value.Max(Math.Abs));
    }

    [Theory, InlineData("qwen3", false), InlineData("gemma2", false), InlineData("gemma3", false), InlineData("olmo2", false), InlineData("llama31", true),
        InlineData("olmo2", true)]
    public void Recomputing_and_keeping_give_the_same_bits(string name, bool dora)
    {
        var kept = FastRun.Gradients(name, EngineKind.Fast, false, 0, false, dora: dora);
        var recomputed = FastRun.Gradients(name, EngineKind.Fast, true, 0, false, dora: dora);
        Assert.Equal(kept.Loss, recomputed.Loss);
        foreach (var (tensor, values) in kept.Gradients) Assert.Equal(values, recomputed.Gradients[tensor]);
    }

    [Theory, InlineData("llama31"), InlineData("mistral_sw8"), InlineData("gemma2")]
    public void The_bits_are_those_of_any_number_of_threads(string name)
    {
        // Several blocks of queries, more threads than key heads, and masks.
        var ids = Enumerable.Range(0, 333).Select(i => i * 7 % 200).ToArray();
        var batch = TokenBatch.OfRows([(ids[..20], ids[..20]), (ids, ids), (ids[..1], ids[..1])]);
        (double Loss, Dictionary<string, float[]> Gradients) On(int threads)
        {
            var before = TorchSharp.torch.get_num_threads();
            TorchSharp.torch.set_num_threads(threads);
            try
            {
                return FastRun.Gradients(name, EngineKind.Fast, true, 0.3, false, batch: batch);
            }
            finally
            {
                TorchSharp.torch.set_num_threads(before);
            }
        }
        var alone = On(1);
        foreach (var threads in (int[])[2, 7, 32])
        {
            var many = On(threads);
            Assert.Equal(alone.Loss, many.Loss);
            foreach (var (tensor, values) in alone.Gradients) Assert.Equal(values, many.Gradients[tensor]);
        }
    }

    // Windows that end in the middle of a part of the keys, and one that leaves three keys in it.
    [Theory, InlineData(128), InlineData(17), InlineData(100)]
    public void A_window_has_the_bits_of_any_number_of_threads_and_the_reference_engines_gradients(int window)
    {
        var folder = Directory.CreateTempSubdirectory("window-").FullName;
        try
        {
            foreach (var file in Directory.GetFiles(Golden.Folder("mistral_sw8"))) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
            var config = Path.Combine(folder, "config.json");
            File.WriteAllText(config, File.ReadAllText(config).Replace("\"sliding_window\": 8", $"\"sliding_window\": {window}", StringComparison.Ordinal));
            Assert.Contains($": {window}", File.ReadAllText(config), StringComparison.Ordinal);
            var ids = Enumerable.Range(0, 403).Select(i => i * 7 % 200).ToArray();
            (double Loss, Dictionary<string, float[]> Gradients) On(int threads, EngineKind engine)
            {
                var before = TorchSharp.torch.get_num_threads();
                TorchSharp.torch.set_num_threads(threads);
                try
                {
                    using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = engine });
                    AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Alpha = 8 }, 1);
                    FastRun.Randomize(model);
                    var result = model.ForwardBackward(TokenBatch.OfRows([(ids, ids), (ids[..130], ids[..130])]), 0.125, new StepKey(1, 2, 3));
                    return (result.LossSum, model.Parameters.Entries.ToDictionary(entry => entry.Name, entry => model.Parameters.GradientsOf(entry).ToArray()));
                }
                finally
                {
                    TorchSharp.torch.set_num_threads(before);
                }
            }
            var alone = On(1, EngineKind.Fast);
            FastRun.AssertClose(On(2, EngineKind.Reference), alone, $"window {window}");
            foreach (var threads in (int[])[2, 7, 32])
            {
                var many = On(threads, EngineKind.Fast);
                Assert.Equal(alone.Loss, many.Loss);
                foreach (var (tensor, values) in alone.Gradients) Assert.Equal(values, many.Gradients[tensor]);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_window_over_a_long_segment_is_computed_in_blocks_with_the_same_gradients()
    {
        var ids = Enumerable.Range(0, 333).Select(i => i * 7 % 200).ToArray();
        var batch = TokenBatch.OfRows([(ids[..20], ids[..20]), (ids, ids)]);
        var expected = FastRun.Gradients("mistral_sw8", EngineKind.Reference, true, 0, false, batch: batch);
        foreach (var engine in Hand) FastRun.AssertClose(expected, FastRun.Gradients("mistral_sw8", engine, true, 0, false, batch: batch), engine.ToString());
    }

    [Fact]
    public void The_bytes_of_a_pass_are_known_before_it_and_recomputing_needs_fewer()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Fast });
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4 }, 1);
        var batch = FastRun.Batch(model.Config.VocabularySize, true);
        Assert.InRange(FastEngine.BytesFor(model, batch, checkpointing: true), 1, FastEngine.BytesFor(model, batch, checkpointing: false) - 1);
    }

    [Theory]
    [InlineData("llama31_base", "llama31")]
    [InlineData("qwen2_base", "qwen2")]
    [InlineData("gemma2_all_linear", "gemma2")]
    [InlineData("phi3_fused", "phi3")]
    [InlineData("llama31_layers_pattern", "llama31")]
    [InlineData("llama31_dora", "llama31")]
    [InlineData("qwen2_dora", "qwen2")]
    [InlineData("llama_bias_lora_bias", "llama_bias")]
    public void Gradients_equal_the_goldens(string adapter, string name)
    {
        foreach (var engine in Hand)
        {
            using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = engine });
            PeftFolder.Load(model, Golden.Folder("lora", adapter, "adapter_init"));
            using var io = SafetensorsFile.Open(Golden.Folder(name, "io.safetensors"));
            using var expected = SafetensorsFile.Open(Golden.Folder("lora", adapter, "grads_step0.safetensors"));
            var batch = Golden.Batch(io, trimmed: true);
            model.ForwardBackward(batch, 1.0 / batch.TrainedTokens);
            Assert.Equal(engine.ToString(), model.Engine.Name, ignoreCase: true);
            Assert.Equal(expected.Tensors.Count, model.Parameters.Entries.Count);
            foreach (var entry in model.Parameters.Entries)
            {
                var values = Golden.Floats(expected, entry.Name.EndsWith("magnitude_vector", StringComparison.Ordinal) ? entry.Name + ".weight" : entry.Name);
                Assert.True(Golden.LargestDifference(values, model.Parameters.GradientsOf(entry)) <= Golden.GradientGate * values.Max(Math.Abs),
                    $"{entry.Name} on {engine}");
            }
        }
    }

    [Fact]
    public void What_it_cannot_compute_is_left_to_the_reference_engine()
    {
        CausalModel Adapted(EngineKind engine)
        {
            var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = engine });
            AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Targets = TargetModules.Parse(["embed_tokens"]) }, 1);
            return model;
        }
        using var automatic = Adapted(EngineKind.Auto);
        Assert.Equal("reference", automatic.Engine.Name);
        using var forced = Adapted(EngineKind.Fast);
        Assert.Contains("embedding", Assert.Throws<ModelException>(() => forced.Engine).Message);
    }

    [Fact]
    public void Dropout_on_an_adapted_head_draws_a_fresh_mask_for_every_row_whatever_the_chunks()
    {
        var folder = Directory.CreateTempSubdirectory("head-dropout-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "config.json"),
                """{"model_type":"llama","hidden_size":16,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"vocab_size":70000,"tie_word_embeddings":false}""");
            FullModelFolder.WriteFresh(folder, 3);
            // More rows than a chunk of either engine takes at this vocabulary: 479 and 239.
            var random = new Random(4);
            int[] ids = [.. Enumerable.Range(0, 500).Select(_ => random.Next(70000))], targets = [.. ids.Select(id => (id + 7) % 70000)];
            float[] Gradients(EngineKind engine)
            {
                using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = engine });
                AdapterInjector.Inject(model, new LoraSpec { Rank = 2, Dropout = 0.5, Targets = TargetModules.OfNames(["lm_head"]) }, 1);
                FastRun.Randomize(model);
                model.ForwardBackward(new TokenBatch(ids, targets, [.. Enumerable.Range(0, ids.Length)], [0, ids.Length], [1f]), 1, new StepKey(1, 2, 3));
                return model.Parameters.GradientsOf(model.Head.Adapter!.A).ToArray();
            }
            var expected = Gradients(EngineKind.Reference);
            Assert.InRange(Golden.LargestDifference(expected, Gradients(EngineKind.Fast)) / expected.Max(Math.Abs), 0, 1e-5);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
