using System.Text.Json.Nodes;
using Trainer.Adapters;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Dropout;
using Trainer.Engine.Reference;
using Trainer.Engine.Tests.Adapters;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Models;

/// <summary>Changes that must show: a gate that a wrong model passes too proves nothing.</summary>
[Trait("ring", "model")]
public sealed class ControlTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("control-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("llama2", "rope_theta", "20000.0")]
    [InlineData("llama2", "rope_scaling", """{"rope_type": "dynamic", "factor": 2.0}""", true)]
    [InlineData("llama31", "rope_scaling", "null")]
    [InlineData("llama_linear_rope", "rope_scaling", """{"rope_type": "linear", "factor": 5.0}""")]
    [InlineData("mistral_sw8", "sliding_window", "7")]
    [InlineData("mistral_sw8", "sliding_window", "null")]
    [InlineData("qwen2", "rope_theta", "10000.0")]
    [InlineData("qwen3", "rms_norm_eps", "0.05")]
    [InlineData("phi3_partial_longrope", "original_max_position_embeddings", "64")]
    [InlineData("gemma", "hidden_activation", "\"silu\"")]
    [InlineData("gemma2", "attn_logit_softcapping", "null")]
    [InlineData("gemma2", "final_logit_softcapping", "null")]
    [InlineData("gemma2", "query_pre_attn_scalar", "16")]
    [InlineData("gemma3", "rope_local_base_freq", "1000000.0")]
    [InlineData("granite", "attention_multiplier", "0.25")]
    [InlineData("granite", "residual_multiplier", "1.0")]
    [InlineData("granite", "logits_scaling", "1.0")]
    [InlineData("smollm3", "no_rope_layers", "[1, 1]")]
    [InlineData("olmo2", "rms_norm_eps", "0.05")]
    public void A_changed_config_gives_other_logits(string name, string key, string value, bool same = false)
    {
        foreach (var file in Directory.GetFiles(Golden.Folder(name))) File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "config.json")))!.AsObject();
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(Path.Combine(_folder, "config.json"), config.ToJsonString());
        using var model = CausalModel.Load(_folder, new ModelLoadOptions { Engine = EngineKind.Reference });
        using var io = SafetensorsFile.Open(Golden.Folder(name, "io.safetensors"));
        using var logits = model.Logits(Golden.Batch(io, trimmed: false));
        var difference = Golden.LargestDifference(logits.data<float>().ToArray(), Golden.Floats(io, "logits"));
        // Dynamic scaling does nothing within the original context.
        if (same) Assert.InRange(difference, 0, Golden.LogitGate);
        else Assert.True(difference > 100 * Golden.LogitGate, $"{key} = {value}: {difference}");
    }

    [Fact]
    public void Labels_that_are_not_shifted_give_another_loss()
    {
        using var model = CausalModel.Load(Golden.Folder("llama2"), new ModelLoadOptions { Engine = EngineKind.Reference });
        using var io = SafetensorsFile.Open(Golden.Folder("llama2", "io.safetensors"));
        var right = Golden.Batch(io, trimmed: true);
        var wrong = new TokenBatch(right.TokenIds, [.. right.Targets.Select((target, t) => target == TokenBatch.IgnoredTarget ? target : right.TokenIds[t])],
            right.Positions, right.SegmentStarts, right.SegmentWeights);
        Assert.True(Math.Abs(model.TokenLosses(right).Sum() - model.TokenLosses(wrong).Sum()) > 1);
    }

    [Theory]
    [InlineData("llama31")]
    [InlineData("mistral_sw8")]
    [InlineData("gemma2")]
    public void Segments_never_see_each_other(string name)
    {
        using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = EngineKind.Reference });
        var rows = new[] { 7, 20, 20, 1, 13 }.Select((length, r) => Enumerable.Range(0, length).Select(t => (t * 31 + r * 7) % 250 + 3).ToArray()).ToList();
        var packed = model.TokenLosses(TokenBatch.OfRows([.. rows.Select(row => (row, row))]));
        var alone = rows.SelectMany(row => model.TokenLosses(TokenBatch.OfRows([(row, row)]))).ToArray();
        Assert.InRange(Golden.LargestDifference(packed, alone), 0, Golden.LossGate);
        // Without segment bounds the losses are others.
        var all = rows.SelectMany(row => row).ToArray();
        var joined = TokenBatch.OfRows([(all, all)]);
        Assert.True(Golden.LargestDifference(packed.AsSpan(7, 19), model.TokenLosses(joined).AsSpan(7, 19)) > 1e-2);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Weights_of_segments_scale_their_gradients_and_batches_add_up(bool checkpointing)
    {
        using var model = LoraGoldenTests.Load("llama31_base", "adapter_init", checkpointing);
        int[] first = [1, 5, 9, 33, 7], second = [2, 8, 100, 31, 44, 9, 3];
        float[] Gradient(params (int[] Row, float Weight)[] rows)
        {
            model.Parameters.ZeroGradients();
            foreach (var (row, weight) in rows)
            {
                var plain = TokenBatch.OfRows([(row, row)]);
                model.ForwardBackward(new TokenBatch(plain.TokenIds, plain.Targets, plain.Positions, plain.SegmentStarts, [weight]), 0.25);
            }
            return model.Parameters.GradientSpan.ToArray();
        }
        var apart = Gradient((first, 2f), (second, 0.5f));
        model.Parameters.ZeroGradients();
        var both = TokenBatch.OfRows([(first, first), (second, second)]);
        var result = model.ForwardBackward(new TokenBatch(both.TokenIds, both.Targets, both.Positions, both.SegmentStarts, [2f, 0.5f]), 0.25);
        Assert.InRange(Golden.LargestDifference(apart, model.Parameters.GradientSpan.ToArray()), 0, Golden.GradientGate * apart.Max(Math.Abs));
        var losses = model.TokenLosses(both);
        Assert.InRange(Math.Abs(2 * losses[..5].Sum() + 0.5 * losses[5..].Sum() - result.LossSum), 0, 1e-4);
    }

    [Fact]
    public void Dropout_is_a_function_of_seed_step_micro_batch_and_module()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Reference });
        PeftFolder.Load(model, Golden.Folder("lora", "llama31_base", "adapter_init"), dropout: 0.5);
        int[] row = [1, 5, 9, 33, 7, 200, 11];
        var batch = TokenBatch.OfRows([(row, row)]);
        (double, float[]) Run(StepKey key)
        {
            model.Parameters.ZeroGradients();
            return (model.ForwardBackward(batch, 1, key).LossSum, model.Parameters.GradientSpan.ToArray());
        }
        var first = Run(new StepKey(42, 3, 1));
        var again = Run(new StepKey(42, 3, 1));
        Assert.Equal(first.Item1, again.Item1);
        Assert.Equal(first.Item2, again.Item2);
        foreach (var other in new[] { new StepKey(43, 3, 1), new StepKey(42, 4, 1), new StepKey(42, 3, 2) }) Assert.NotEqual(first.Item1, Run(other).Item1);
        Assert.Throws<ArgumentNullException>(() => model.ForwardBackward(batch, 1));
    }

    [Fact]
    public void Dropout_keeps_its_share_and_the_expected_value()
    {
        var mask = Mask(4);
        Assert.InRange(mask.Count(value => value == 0) / 100_000.0, 0.245, 0.255);
        Assert.All(mask, value => Assert.True(value is 0 or 1 / 0.75f));
        var other = Mask(5);
        Assert.InRange(mask.Zip(other).Count(pair => pair.First == 0 && pair.Second == 0) / 100_000.0, 0.0575, 0.0675);

        static float[] Mask(int module)
        {
            using var mask = DropoutMask.Make(new StepKey(1, 2, 3), module, 100_000, 1, 0.25, TorchSharp.torch.CPU);
            return mask.data<float>().ToArray();
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void No_tensor_outlives_a_step_and_the_base_stays_as_it_was(bool checkpointing)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"),
            new ModelLoadOptions { Engine = EngineKind.Reference, Quantize = QuantizeKind.Nf4, GradientCheckpointing = checkpointing });
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Alpha = 8, UseDora = true, Dropout = 0.1 }, 1);
        int[] row = [1, 5, 9, 33, 7, 200, 11];
        var batch = TokenBatch.OfRows([(row, row)]);
        var before = BaseWeights.Checksum(model);
        model.ForwardBackward(batch, 1, new StepKey(1, 0, 0));
        var alive = TorchSharp.DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;
        for (var i = 0; i < 20; i++)
        {
            model.ForwardBackward(batch, 1, new StepKey(1, i, 0));
            model.TokenLosses(batch);
            model.Logits(batch).Dispose();
        }
        Assert.Equal(alive, TorchSharp.DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
        using (TorchSharp.torch.zeros(1)) Assert.Equal(alive + 1, TorchSharp.DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
        Assert.Equal(before, BaseWeights.Checksum(model));
    }

    [Fact]
    public void A_fault_inside_a_backward_pass_comes_out_as_an_exception()
    {
        using var x = TorchSharp.torch.ones(2, 3).requires_grad_(true);
        using var weight = new FailingWeight();
        var fault = new BackwardFault();
        using (TorchSharp.torch.NewDisposeScope())
        {
            var y = FrozenLinear.Apply(x, weight, TorchSharp.torch.ScalarType.Float32, fault);
            weight.Fails = true;
            y.sum().backward();
        }
        Assert.Equal("the disk is gone", Assert.Throws<IOException>(fault.Rethrow).Message);
        fault.Rethrow();
    }

    private sealed unsafe class FailingWeight : IFrozenWeight
    {
        public bool Fails { get; set; }

        public long Rows => 4;

        public long Columns => 3;

        public WeightForm Form => WeightForm.Nf4;

        public long ByteCount => 6;

        public TorchSharp.torch.Tensor? Resident => null;

        public void Read(long row, long columnBegin, long columnCount, float* destination) => throw new NotSupportedException();

        public void Materialize(long rowBegin, long rowCount, float* destination)
        {
            if (Fails) throw new IOException("the disk is gone");
            new Span<float>(destination, (int)(rowCount * Columns)).Fill(1);
        }

        public void MaterializeBFloat16(long rowBegin, long rowCount, ushort* destination) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
