using Trainer.Adapters;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Fast.Streaming;
using Trainer.Engine.Native;
using Trainer.Engine.Quantize;
using Trainer.Engine.Reference;
using Trainer.Engine.Tests.Models;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed class StreamTests : IDisposable
{
    // A little more than a layer of the shape below has, codes and scales; its parts lie at odd offsets in the file.
    private const long LayerBytes = 30_000;
    private const long HeadBytes = 300 * 64 * 2;
    private static readonly ModelLoadOptions Resident = new() { Engine = EngineKind.Fast };
    private static readonly ModelLoadOptions Streamed = Resident with { Stream = true };
    private readonly string _folder = Directory.CreateTempSubdirectory("stream-").FullName;

    public StreamTests() => RandomModelFolder.Write(_folder, new ModelShape("six", 64, 6, 4, 2, 16, 192, 300, false), 7);

    public static TheoryData<bool, StreamReads, long?> Ways()
    {
        var ways = new TheoryData<bool, StreamReads, long?>();
        foreach (var checkpointing in new[] { true, false })
            foreach (var reads in new[] { StreamReads.Mapped, StreamReads.Direct })
                // The least, one layer more, the head too, some of everything, all.
                foreach (var bytes in new long?[] { null, 3 * LayerBytes, 2 * LayerBytes + HeadBytes, 4 * LayerBytes + HeadBytes, 1 << 30 })
                    ways.Add(checkpointing, reads, bytes);
        return ways;
    }

    // The least and a little of everything, each way of reading; the rest of the sizes in the slow ring.
    private static bool IsTelling(object[] way) => way[2] is null || (way[0] is true && Equals(way[2], 4 * LayerBytes + HeadBytes));

    public static IEnumerable<object[]> TellingWays => Rings.Always(Ways(), IsTelling);

    public static IEnumerable<object[]> OtherWays => Rings.Slow(Ways(), IsTelling);

    [Theory, MemberData(nameof(OtherWays)), Trait("ring", "slow")]
    public void Every_gradient_streamed_equals_resident_whatever_stays(bool checkpointing, StreamReads reads, long? bytes)
        => Every_gradient_streamed_equals_resident_bit_for_bit(checkpointing, reads, bytes);

    [Theory, MemberData(nameof(TellingWays))]
    public void Every_gradient_streamed_equals_resident_bit_for_bit(bool checkpointing, StreamReads reads, long? bytes)
    {
        var resident = Run(Resident with { GradientCheckpointing = checkpointing });
        var streamed = Run(Streamed with { GradientCheckpointing = checkpointing, StreamReads = reads, StreamBytes = bytes });
        Assert.Equal(resident.Loss, streamed.Loss);
        Assert.Equal(6 * 7 * 2, streamed.Gradients.Count);
        foreach (var (name, values) in resident.Gradients)
        {
            Assert.Contains(values, value => value != 0);
            Assert.Equal(values, streamed.Gradients[name]);
        }
    }

    [Theory, InlineData(StreamReads.Mapped), InlineData(StreamReads.Direct)]
    public void Every_gradient_of_dora_streamed_equals_resident_bit_for_bit(StreamReads reads)
    {
        var resident = Run(Resident, dora: true);
        var streamed = Run(Streamed with { StreamReads = reads }, dora: true);
        Assert.Equal(6 * 7 * 3, streamed.Gradients.Count);
        foreach (var (name, values) in resident.Gradients) Assert.Equal(values, streamed.Gradients[name]);
    }

    // The room of a layer goes to another: a device that runs behind must have read it by then.
    [Fact]
    public void A_device_that_runs_behind_is_waited_for_before_a_layers_room_is_used_again()
    {
        var resident = Run(Resident);
        for (var seed = 0; seed < 3; seed++)
        {
            var streamed = Run(
                Streamed with { StreamReads = StreamReads.Direct }, kernels: FakeDevice.FakeKernels.WithSeed(seed));
            Assert.Equal(resident.Loss, streamed.Loss);
            foreach (var (name, values) in resident.Gradients) Assert.Equal(values, streamed.Gradients[name]);
        }
    }

    [Theory, InlineData(StreamReads.Mapped), InlineData(StreamReads.Direct)]
    public void The_comparison_fails_where_one_layers_weights_are_not_the_resident_ones(StreamReads reads)
    {
        var resident = Run(Resident);
        // The control: what a recycled buffer would do, one byte of the third layer's codes is another.
        var path = Path.Combine(_folder, "model-00003-of-00007.safetensors");
        var bytes = File.ReadAllBytes(path);
        bytes[^1000] ^= 0x77;
        File.WriteAllBytes(path, bytes);
        var streamed = Run(Streamed with { StreamReads = reads });
        Assert.Contains(resident.Gradients, pair => !pair.Value.AsSpan().SequenceEqual(streamed.Gradients[pair.Key]));
    }

    [Theory, InlineData(StreamReads.Mapped), InlineData(StreamReads.Direct)]
    public void Whoever_reads_weights_beside_the_passes_reads_the_files(StreamReads reads)
    {
        using var resident = Load(Resident);
        using var model = Load(Streamed with { StreamReads = reads });
        model.ForwardBackward(FastRun.Batch(300, true), 1);
        Assert.Equal(BaseWeights.Checksum(resident), BaseWeights.Checksum(model));
    }

    [SkippableTheory, InlineData(null, "2 of 6 layers in"), InlineData(3 * LayerBytes, "3 of 6 layers in"),
        InlineData(1L << 30, "6 of 6 layers and the head in")]
    public void What_is_read_how_and_what_stays_is_said(long? bytes, string stays)
    {
        using var file = DirectFile.TryOpen(Path.Combine(_folder, "model-00003-of-00007.safetensors"));
        Skip.If(file is null, "this disk refuses reads past the page cache");
        using var direct = Load(Streamed with { StreamReads = StreamReads.Direct, StreamBytes = bytes });
        Assert.Contains("past the page cache", direct.Engine.Streaming, StringComparison.Ordinal);
        Assert.Contains(stays, direct.Engine.Streaming, StringComparison.Ordinal);
        // Small beside the machine's memory.
        using var chosen = Load(Streamed);
        Assert.Contains("through the page cache", chosen.Engine.Streaming, StringComparison.Ordinal);
    }

    [Theory, InlineData(StreamReads.Mapped), InlineData(StreamReads.Direct)]
    public void Layers_that_share_one_file_are_read_from_their_own_place_in_it(StreamReads reads)
    {
        var folder = _folder + "-one";
        try
        {
            ModelQuantizer.Quantize(Golden.Folder("llama31"), folder, new QuantizeOptions { Threads = 1 });
            var batch = FastRun.Batch(320, true);
            float[] Losses(bool stream)
            {
                using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = EngineKind.Fast, Stream = stream, StreamReads = reads });
                return model.TokenLosses(batch);
            }
            Assert.Equal(Losses(false), Losses(true));
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [Theory]
    [InlineData(ComputeKind.BFloat16, StreamReads.Mapped)]
    [InlineData(ComputeKind.BFloat16, StreamReads.Direct)]
    [InlineData(ComputeKind.Int8, StreamReads.Mapped)]
    [InlineData(ComputeKind.Int8, StreamReads.Direct)]
    public void Narrow_products_streamed_equal_resident_bit_for_bit(ComputeKind compute, StreamReads reads)
    {
        var resident = Run(Resident with { Compute = compute });
        var streamed = Run(Streamed with { Compute = compute, StreamReads = reads });
        Assert.NotEqual(Run(Resident).Loss, resident.Loss);
        Assert.Equal(resident.Loss, streamed.Loss);
        foreach (var (name, values) in resident.Gradients) Assert.Equal(values, streamed.Gradients[name]);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Panels_of_rows_give_the_gradients_of_the_reference_engine_on_4_bit_weights(bool dora)
    {
        using var model = Load(Resident, dora);
        var batch = FastRun.Batch(300, false);
        // Of 128 rows each: two panels a gate, three a head.
        using var engine = new FastEngine(model, panelElements: 1);
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

    [Theory, InlineData(StreamReads.Mapped), InlineData(StreamReads.Direct)]
    public void A_file_that_changes_under_the_run_stops_it_by_name(StreamReads reads)
    {
        using var model = Load(Streamed with { StreamReads = reads });
        var batch = FastRun.Batch(300, true);
        model.ForwardBackward(batch, 1);
        var path = Path.Combine(_folder, "model-00002-of-00007.safetensors");
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddMinutes(1));
        Assert.Contains("model-00002-of-00007.safetensors", Assert.Throws<ModelException>(() => model.ForwardBackward(batch, 1)).Message,
            StringComparison.Ordinal);
    }

    [Theory, InlineData(StreamReads.Mapped), InlineData(StreamReads.Direct)]
    public void A_file_cut_off_between_two_layers_stops_the_step_that_needs_it(StreamReads reads)
    {
        using var model = Load(Streamed);
        var files = new StreamedFiles(model.WeightPaths);
        var layout = new StreamedLayout(model);
        using var source = reads == StreamReads.Direct
            ? DirectLayers.TryOpen(layout, files) ?? (ILayerSource)new MappedLayers(layout, files) : new MappedLayers(layout, files);
        using var stream = new LayerStream(source, layout.Layers, new StreamWindow(0, false));
        stream.Visit(0, 1);
        using (var file = new FileStream(Path.Combine(_folder, "model-00004-of-00007.safetensors"), FileMode.Open)) file.SetLength(5000);
        stream.Visit(1, 2);
        stream.Visit(2, 3);
        Assert.Contains("model-00004-of-00007.safetensors", Assert.Throws<ModelException>(() => stream.Visit(3, 4)).Message, StringComparison.Ordinal);
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

    // Rows of unlike lengths, dropout and DoRA: each batch has its own masks, and the largest comes in the middle.
    [Theory]
    [InlineData(StreamReads.Mapped, false, 0.0, EngineKind.Fast), InlineData(StreamReads.Direct, true, 0.3, EngineKind.Fast),
        InlineData(StreamReads.Direct, false, 0.3, EngineKind.Libtorch)]
    public void Several_batches_go_layer_by_layer_with_the_bits_of_one_after_another_and_fewer_reads(StreamReads reads, bool dora, double dropout,
        EngineKind engine)
    {
        using var model = Load(Streamed with { StreamReads = reads, Engine = engine }, dora, dropout);
        TokenBatch[] batches = [FastRun.Batch(300, true, [7, 9]), FastRun.Batch(300, false, [19, 5, 5, 33, 1]), FastRun.Batch(300, false, [3, 21]),
            FastRun.Batch(300, true, [11])];
        StepKey?[] keys = [.. batches.Select((_, micro) => (StepKey?)new StepKey(1, 2, micro))];
        var apart = batches.Zip(keys, (batch, key) => model.ForwardBackward(batch, 0.25, key).LossSum).ToArray();
        var expected = model.Parameters.GradientSpan.ToArray();
        Assert.Contains(expected, value => value != 0);
        var before = ((FastEngine)model.Engine).LayersRead;
        model.Parameters.ZeroGradients();
        Assert.Equal(apart, model.ForwardBackward(batches, 0.25, keys).Select(result => result.LossSum));
        Assert.Equal(expected, model.Parameters.GradientSpan.ToArray());
        var together = ((FastEngine)model.Engine).LayersRead - before;
        // Apart: the last two layers of a pass are the first of its way back, and the first two of the next pass.
        Assert.InRange(before, 4 * 8, 4 * 12);
        Assert.InRange(together, 6, 12);
        // Whoever needs one pass alone after that gets it.
        model.Parameters.ZeroGradients();
        Assert.Equal(apart[1], model.ForwardBackward(batches[1], 0.25, keys[1]).LossSum);
    }

    [Theory, InlineData("llama31"), InlineData("qwen2"), InlineData("gemma2"), InlineData("phi3"), InlineData("olmo2")]
    public void Families_go_layer_by_layer_with_the_bits_of_one_after_another(string name)
    {
        using var model = FastRun.Adapted(name, EngineKind.Fast, checkpointing: true, 0, ComputeKind.Float32, dora: false);
        var size = model.Config.VocabularySize;
        TokenBatch[] batches = [FastRun.Batch(size, false), FastRun.Batch(size, true, [4, 40]), FastRun.Batch(size, false, [13])];
        StepKey?[] keys = [null, null, null];
        var apart = batches.Select(batch => model.ForwardBackward(batch, 0.25).LossSum).ToArray();
        var expected = model.Parameters.GradientSpan.ToArray();
        model.Parameters.ZeroGradients();
        Assert.Equal(apart, model.ForwardBackward(batches, 0.25, keys).Select(result => result.LossSum));
        Assert.Equal(expected, model.Parameters.GradientSpan.ToArray());
    }

    private (double Loss, Dictionary<string, float[]> Gradients) Run(ModelLoadOptions options, bool dora = false, KernelFactory? kernels = null)
    {
        using var model = Load(options, dora);
        using var other = kernels is null ? null : new FastEngine(model, kernels: kernels);
        var engine = other ?? model.Engine;
        double loss = 0;
        for (var i = 0; i < 2; i++) loss = engine.ForwardBackward(FastRun.Batch(300, i == 0), 0.25, null).LossSum;
        return (loss, model.Parameters.Entries.ToDictionary(entry => entry.Name, entry => model.Parameters.GradientsOf(entry).ToArray()));
    }

    private CausalModel Load(ModelLoadOptions options, bool dora = false, double dropout = 0)
    {
        var model = CausalModel.Load(_folder, options);
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4, UseDora = dora, Dropout = dropout }, 1);
        FastRun.Randomize(model);
        return model;
    }
}
