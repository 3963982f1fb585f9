using Trainer.Adapters;
using Trainer.Models;
using Trainer.Models.Fast;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed class StreamTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("stream-").FullName;

    public StreamTests() => RandomModelFolder.Write(_folder, new ModelShape("six", 64, 6, 4, 2, 16, 192, 300, false), 7);

    [Theory, InlineData(true), InlineData(false)]
    public void Every_gradient_streamed_equals_resident_bit_for_bit(bool checkpointing)
    {
        var resident = Run(false, checkpointing);
        var streamed = Run(true, checkpointing);
        Assert.Equal(resident.Loss, streamed.Loss);
        Assert.Equal(6 * 7 * 2, streamed.Gradients.Count);
        foreach (var (name, values) in resident.Gradients)
        {
            Assert.Contains(values, value => value != 0);
            Assert.Equal(values, streamed.Gradients[name]);
        }
    }

    [Fact]
    public void The_comparison_fails_where_one_layers_weights_are_not_the_resident_ones()
    {
        var resident = Run(false, true);
        // The control: what a recycled buffer would do, one byte of the third layer's codes is another.
        var path = Path.Combine(_folder, "model-00003-of-00007.safetensors");
        var bytes = File.ReadAllBytes(path);
        bytes[^1000] ^= 0x77;
        File.WriteAllBytes(path, bytes);
        var streamed = Run(true, true);
        Assert.Contains(resident.Gradients, pair => !pair.Value.AsSpan().SequenceEqual(streamed.Gradients[pair.Key]));
    }

    [Fact]
    public void Panels_of_rows_give_the_gradients_of_the_reference_engine_on_4_bit_weights()
    {
        using var model = Load(false, true);
        var batch = FastRun.Batch(300, false);
        // Of 128 rows each: two panels a gate, three a head.
        using var engine = new FastEngine(model, panelFloats: 1);
        var loss = engine.ForwardBackward(batch, 0.25, null).LossSum;
        var panels = model.Parameters.GradientSpan.ToArray();
        model.Parameters.ZeroGradients();
        using var reference = new ReferenceEngine(model);
        Assert.Equal(reference.ForwardBackward(batch, 0.25, null).LossSum, loss, loss * 1e-6);
        foreach (var entry in model.Parameters.Entries)
        {
            var expected = model.Parameters.GradientsOf(entry);
            var largest = expected.ToArray().Max(Math.Abs);
            var actual = panels.AsSpan((int)entry.Offset, (int)entry.Count);
            for (var i = 0; i < actual.Length; i++) Assert.InRange(Math.Abs(actual[i] - expected[i]), 0f, 2e-5f * largest);
        }
    }

    [Fact]
    public void A_file_that_changes_under_the_mapping_stops_the_run_by_name()
    {
        using var model = Load(true, true);
        var batch = FastRun.Batch(300, true);
        model.ForwardBackward(batch, 1);
        var path = Path.Combine(_folder, "model-00002-of-00007.safetensors");
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddMinutes(1));
        Assert.Contains("model-00002-of-00007.safetensors", Assert.Throws<ModelException>(() => model.ForwardBackward(batch, 1)).Message);
    }

    [Fact]
    public void A_bench_run_gives_every_tensor_a_gradient_and_a_falling_loss()
    {
        var report = StepBench.Run(new BenchOptions { Folder = _folder, Sequence = 32, Batch = 2, Rank = 4, Steps = 3, Stream = true });
        Assert.Empty(report.WithoutGradient);
        Assert.True(report.Loss.Last < report.Loss.First);
        Assert.InRange(report.ExecutedOperations, report.UsefulOperations, report.UsefulOperations * 3);
        Assert.InRange(report.Parts.Sum(part => part.Seconds), report.StepSeconds.Average() * 0.99, report.StepSeconds.Average() * 1.01);
    }

    public void Dispose() => Directory.Delete(_folder, true);

    private (double Loss, Dictionary<string, float[]> Gradients) Run(bool stream, bool checkpointing)
    {
        using var model = Load(stream, checkpointing);
        double loss = 0;
        for (var i = 0; i < 2; i++) loss = model.ForwardBackward(FastRun.Batch(300, i == 0), 0.25).LossSum;
        return (loss, model.Parameters.Entries.ToDictionary(entry => entry.Name, entry => model.Parameters.GradientsOf(entry).ToArray()));
    }

    private CausalModel Load(bool stream, bool checkpointing)
    {
        var model = CausalModel.Load(_folder, new ModelLoadOptions { Engine = EngineKind.Fast, GradientCheckpointing = checkpointing, Stream = stream });
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4 }, 1);
        FastRun.Randomize(model);
        return model;
    }
}
