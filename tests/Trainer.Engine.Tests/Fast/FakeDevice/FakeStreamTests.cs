using Trainer.Adapters;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Libtorch;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Engine.Tests.Training;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Lora;
using Trainer.Training;

namespace Trainer.Engine.Tests.Fast.FakeDevice;

/// <summary>A base that does not fit a device's memory: its layers are sent there in turns, by copies that run as late as they may.</summary>
[Trait("ring", "model")]
public sealed class FakeStreamTests : IDisposable
{
    private const long LayerBytes = 32_000;
    private const long HeadBytes = 300 * 64 * 2;
    private static readonly ModelLoadOptions Resident = new() { Engine = EngineKind.Libtorch };
    private readonly string _folder = Directory.CreateTempSubdirectory("fake-stream-").FullName;

    public FakeStreamTests() => RandomModelFolder.Write(_folder, new ModelShape("six", 64, 6, 4, 2, 16, 192, 300, false), 7);

    [Theory]
    [InlineData(StreamReads.Mapped, null, true), InlineData(StreamReads.Direct, null, false), InlineData(StreamReads.Direct, 3 * LayerBytes, true),
        InlineData(StreamReads.Mapped, 3 * LayerBytes + HeadBytes, true)]
    public void A_base_larger_than_the_devices_memory_trains_with_the_bits_of_one_that_fits(StreamReads reads, long? window, bool recompute)
    {
        var options = Resident with { GradientCheckpointing = recompute };
        FakeKernels? whole = null;
        var expected = Run(options, FakeKernels.OverLibtorch(0, made: made => whole = made), () => whole!.Heap.Bytes);
        var limit = expected.Bytes - LayerBytes / 2;
        Assert.Contains("the device has no room for ", Assert.Throws<DeviceMemoryException>(
            () => Run(options, FakeKernels.OverLibtorch(0, limit), () => 0)).Message, StringComparison.Ordinal);
        for (var seed = 0; seed < 3; seed++)
        {
            FakeKernels? device = null;
            var streamed = Run(options with { Stream = true, StreamReads = reads, StreamBytes = window },
                FakeKernels.OverLibtorch(seed, limit, isStreamed: true, made => device = made), () => device!.Heap.Bytes);
            Assert.Equal(expected.Loss, streamed.Loss);
            foreach (var (name, values) in expected.Gradients)
            {
                Assert.Contains(values, value => value != 0);
                Assert.Equal(values, streamed.Gradients[name]);
            }
            var rooms = device!.FakeRooms!;
            Assert.True(rooms.Sent > 6 && rooms.Used > 6 * 7, $"{rooms.Sent} layers were sent, {rooms.Used} matrices used there");
            Assert.InRange(rooms.Made, 2, window is null ? 2 : 4);
        }
    }

    [Theory, InlineData(0), InlineData(1)]
    public void A_whole_run_streamed_to_it_gives_the_bytes_of_one_that_holds_its_base(int seed)
    {
        string Run(Choice stream, Func<ModelLoadOptions, KernelFactory> kernels)
        {
            using var run = new GoldenRun("llama31_base", "llama31", 320, 2);
            run.Options = run.Options with { Quantize = QuantizeKind.Nf4, Stream = stream, MaxSteps = 3, SaveSteps = 0,
                Loading = options => options with { Engine = EngineKind.Libtorch, Kernels = kernels(options) } };
            return run.Run().AdapterSha256;
        }
        FakeKernels? device = null;
        var expected = Run(Choice.Off, _ => FakeKernels.OverLibtorch(seed));
        Assert.Equal(expected, Run(Choice.On, options => FakeKernels.OverLibtorch(seed, null, options.Stream, made => device = made)));
        Assert.True(device!.FakeRooms!.Used > 0, "no layer was used from a room");
    }

    [Fact]
    public void A_buffer_filled_too_early_a_copy_not_waited_for_and_a_room_filled_at_work_are_found_out()
    {
        using var model = Load(Resident with { Stream = true });
        var factory = FakeKernels.OverLibtorch(0, isStreamed: true);
        using var device = (FakeKernels)factory(new FastShape(model.Config), ComputeKind.Float32, new Trainer.Engine.Fast.Cpu.PanelPlan());
        var rooms = device.FakeRooms!;
        var weight = (Nf4Weight)model.Linears[0].Weight;
        using var pinned = rooms.Pin(LayerBytes);
        using var room = rooms.Room(LayerBytes);
        Fill(pinned, 0);
        var early = rooms.Send(pinned, room, LayerBytes)!;
        Fill(pinned, 1);
        Assert.Contains("filled again before its copy", Assert.Throws<InvalidOperationException>(early.Wait).Message, StringComparison.Ordinal);

        var copy = rooms.Send(pinned, room, LayerBytes)!;
        rooms.Place(weight, room, [0, LayerBytes / 2]);
        rooms.Launch(weight)!.Wait();
        Assert.Contains("began before the copy", Assert.Throws<InvalidOperationException>(() =>
        {
            rooms.Send(pinned, room, LayerBytes);
            rooms.Place(weight, room, [0, LayerBytes / 2]);
            rooms.Launch(weight)!.RequireThere();
        }).Message, StringComparison.Ordinal);
        var first = rooms.Launch(weight)!;
        first.Wait();
        rooms.Send(pinned, room, LayerBytes)!.Wait();
        Assert.Contains("filled again while", Assert.Throws<InvalidOperationException>(first.RequireThere).Message, StringComparison.Ordinal);
        device.Synchronize();
        Assert.NotNull(copy);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static unsafe void Fill(NativeBlock block, byte value) => new Span<byte>(block.Start, (int)LayerBytes).Fill(value);

    private (double Loss, Dictionary<string, float[]> Gradients, long Bytes) Run(ModelLoadOptions options, KernelFactory kernels, Func<long> held)
    {
        using var model = Load(options);
        using var engine = new FastEngine(model, kernels: kernels);
        double loss = 0;
        for (var i = 0; i < 2; i++) loss = engine.ForwardBackward(FastRun.Batch(300, i == 0), 0.25, null).LossSum;
        return (loss, model.Parameters.Entries.ToDictionary(entry => entry.Name, entry => model.Parameters.GradientsOf(entry).ToArray()), held());
    }

    private CausalModel Load(ModelLoadOptions options)
    {
        var model = CausalModel.Load(_folder, options);
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4 }, 1);
        FastRun.Randomize(model);
        return model;
    }
}
