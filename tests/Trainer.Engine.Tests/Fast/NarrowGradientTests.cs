using Trainer.Adapters;
using Trainer.Engine.Fast;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed class NarrowGradientTests
{
    [Theory]
    [InlineData("llama31", ComputeKind.BFloat16)]
    [InlineData("qwen3", ComputeKind.BFloat16)]
    [InlineData("phi3", ComputeKind.BFloat16)]
    [InlineData("granite", ComputeKind.BFloat16)]
    [InlineData("llama31", ComputeKind.BFloat16, EngineKind.Libtorch)]
    [InlineData("granite", ComputeKind.BFloat16, EngineKind.Libtorch)]
    [InlineData("llama31", ComputeKind.Int8)]
    [InlineData("granite", ComputeKind.Int8)]
    public void Every_gradient_points_where_float32s_does(string name, ComputeKind compute, EngineKind engine = EngineKind.Fast)
    {
        var exact = FastRun.Gradients(name, EngineKind.Fast, false, 0, false);
        var narrow = FastRun.Gradients(name, engine, false, 0, false, compute: compute);
        Assert.InRange(Math.Abs(exact.Loss - narrow.Loss) / exact.Loss, 1e-6, 0.005);
        foreach (var (tensor, values) in exact.Gradients)
            Assert.True(Cosine(values, narrow.Gradients[tensor]) > Gate(compute), $"{tensor} of {name} in {compute}");
        // The control: the same engine on an adapter of which one matrix has another sign.
        var moved = FastRun.Gradients(name, engine, false, 0, false, compute: compute, change: model =>
        {
            foreach (ref var value in model.Parameters.ValuesOf(model.Layers[1].Output.Adapter!.B)) value = -value;
        });
        Assert.Contains(exact.Gradients, pair => Cosine(pair.Value, moved.Gradients[pair.Key]) < Gate(compute));
    }

    [Theory, InlineData(ComputeKind.BFloat16), InlineData(ComputeKind.Int8)]
    public void Recomputing_and_keeping_give_the_same_bits(ComputeKind compute)
    {
        var kept = FastRun.Gradients("qwen3", EngineKind.Fast, false, 0, false, compute: compute);
        var recomputed = FastRun.Gradients("qwen3", EngineKind.Fast, true, 0, false, compute: compute);
        Assert.Equal(kept.Loss, recomputed.Loss);
        foreach (var (tensor, values) in kept.Gradients) Assert.Equal(values, recomputed.Gradients[tensor]);
    }

    [Theory]
    [InlineData(ComputeKind.Float32)]
    [InlineData(ComputeKind.BFloat16)]
    [InlineData(ComputeKind.Int8)]
    public void The_bytes_counted_before_a_pass_are_those_it_cuts(ComputeKind compute)
    {
        foreach (var checkpointing in (bool[])[true, false])
        {
            using var model = CausalModel.Load(Golden.Folder("llama31"),
                new ModelLoadOptions { Engine = EngineKind.Fast, Compute = compute, GradientCheckpointing = checkpointing, Quantize = QuantizeKind.Nf4 });
            AdapterInjector.Inject(model, new LoraSpec { Rank = 4 }, 1);
            var batch = FastRun.Batch(model.Config.VocabularySize, true);
            var counted = FastEngine.BytesFor(model, batch, checkpointing);
            model.ForwardBackward(batch, 1);
            Assert.Equal(counted, ((FastEngine)model.Engine).BufferBytes);
        }
    }

    [Fact]
    public void Eight_bits_are_refused_where_the_reference_engine_computes()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Compute = ComputeKind.Int8, Engine = EngineKind.Reference });
        Assert.Contains("int8", Assert.Throws<ModelException>(() => model.Engine).Message);
    }

    // These models have random weights of unusual size: 0.997 and 0.969 are the worst tensors' values.
    private static double Gate(ComputeKind compute) => compute == ComputeKind.Int8 ? 0.95 : 0.995;

    private static double Cosine(float[] a, float[] b)
        => a.Zip(b).Sum(pair => (double)pair.First * pair.Second) / Math.Sqrt(a.Sum(value => Math.Pow(value, 2)) * b.Sum(value => Math.Pow(value, 2)));
}
