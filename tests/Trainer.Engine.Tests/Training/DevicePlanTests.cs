using CsCheck;
using Trainer.Adapters;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Libtorch;
using Trainer.Engine.Passes;
using Trainer.Engine.Tests.Fast;
using Trainer.Engine.Tests.Fast.FakeDevice;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Training;
using Trainer.Training.Plan;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>What the plan counts of a device's memory is, to the byte, what is taken there.</summary>
[Trait("ring", "model")]
public sealed class DevicePlanTests
{
    private static readonly string[] Families = ["llama31", "qwen2", "qwen3", "phi3", "gemma2", "gemma3", "olmo2", "granite", "smollm3", "llama_bf16"];

    private static readonly Gen<(TrainingOptions Options, int[] Lengths)> Cases =
        from family in Gen.Int[0, Families.Length - 1]
        from rank in Gen.Int[1, 9]
        from targets in Gen.Int[0, 2]
        from dora in Gen.Bool
        from dropout in Gen.Bool
        from quantize in Gen.Enum<QuantizeKind>()
        from isDouble in Gen.Bool
        from narrow in Gen.Bool
        from recompute in Gen.Bool
        from lengths in Gen.Int[2, 24].Array[1, 4]
        select (new TrainingOptions
        {
            Model = Families[family],
            ModelDirectory = Golden.Folder(Families[family]),
            Data = new Trainer.Data.DataOptions(),
            OutputDirectory = "o",
            Lora = new LoraOptions { Rank = rank, UseDora = dora, Dropout = dropout ? 0.1 : 0,
                TargetModules = [targets == 0 ? "all-linear" : targets == 1 ? "o_proj" : "down_proj"] },
            Quantize = quantize,
            DoubleQuant = isDouble,
            Compute = narrow ? ComputeKind.BFloat16 : ComputeKind.Float32,
            GradientCheckpointing = recompute ? Checkpointing.On : Checkpointing.None,
            Threads = TorchSharp.torch.get_num_threads(),
            Device = "libtorch",
        }, lengths);

    [Fact]
    public void Planned_bytes_of_a_device_are_those_taken_there_for_any_options() => Compare(60);

    [Fact, Trait("ring", "slow")]
    public void Planned_bytes_of_a_device_are_those_taken_there_for_many_more_options() => Compare(150);

    private static void Compare(int sets)
    {
        var seen = new HashSet<string>();
        Cases.Sample(one =>
        {
            var (options, lengths) = one;
            using var model = CausalModel.Load(options.ModelDirectory, AdaptedModel.LoadOptions(options));
            AdapterInjector.Inject(model, RunAdapter.SpecOf(options.Lora, model.Config.LayerCount), 1);
            int[] rows = [.. lengths];
            var batch = TokenBatch.OfRows([.. rows.Select(length => (Ids(length), Ids(length)))]);
            var shape = BatchShape.OfRows(batch.Length, batch.TrainedTokens, rows.Max());
            var memory = new RunMemory(RunAdapter.Of(options, ConfigLoader.Load(options.ModelDirectory)), options);
            FakeKernels? device = null;
            using var engine = new FastEngine(model, kernels: FakeKernels.OverLibtorch(1, made: made => device = made));
            engine.ForwardBackward(batch, 1, new StepKey(1, 0, 0));
            List<MemoryPart> step = [.. memory.StepParts(shape, options.GradientCheckpointing == Checkpointing.On)
                .Where(part => part.Name != RunMemory.Compiled)];
            Assert.Equal((step.Sum(part => part.Bytes) + 7) / 8 * 8, device!.Heap.Of(DeviceUse.Buffers));
            Assert.Equal(memory.DeviceBaseBytes(isStreamed: false, null), device.Heap.Of(DeviceUse.Weights));
            Assert.Equal(2 * memory.ParameterBytes, model.Parameters.Values.numel() * 4 + model.Parameters.Gradients.numel() * 4);
            Assert.Equal(memory.DeviceVectorBytes, 4 * (model.Norms.Sum(norm => norm.Weight.numel() + (norm.Bias?.numel() ?? 0))
                + model.Linears.Sum(linear => linear.Bias?.numel() ?? 0)));
            var plan = new DevicePlan(options, memory).Parts(shape, step, 1, isStreamed: false, null).ToDictionary(part => part.Name, part => part.Bytes);
            Assert.Equal(device.Heap.Bytes + 4 * memory.ParameterBytes + memory.DeviceVectorBytes,
                plan.Values.Sum() - plan["decoded weights and results (at most)"], 7.0);
            seen.Add(options.Model);
        }, iter: sets, threads: 1);
        Assert.InRange(seen.Count, sets < 150 ? Families.Length - 2 : Families.Length, Families.Length);
    }

    [Theory, InlineData(0), InlineData(1), InlineData(3), InlineData(100)]
    public void A_base_streamed_to_a_device_takes_the_rooms_that_the_plan_counts(int more)
    {
        var folder = Directory.CreateTempSubdirectory("device-plan-").FullName;
        try
        {
            RandomModelFolder.Write(folder, new ModelShape("six", 64, 6, 4, 2, 16, 192, 300, false), 7);
            var options = new TrainingOptions { Model = "six", ModelDirectory = folder, Data = new Trainer.Data.DataOptions(), OutputDirectory = "o",
                Stream = Choice.On, Device = "libtorch", Compute = ComputeKind.Float32, GradientCheckpointing = Checkpointing.On };
            var memory = new RunMemory(RunAdapter.Of(options, ConfigLoader.Load(folder)), options);
            var window = memory.SmallestRooms + more * memory.RoomBytes;
            using var model = CausalModel.Load(folder, AdaptedModel.LoadOptions(options) with { StreamBytes = window });
            AdapterInjector.Inject(model, RunAdapter.SpecOf(options.Lora, model.Config.LayerCount), 1);
            FakeKernels? device = null;
            using var engine = new FastEngine(model, kernels: FakeKernels.OverLibtorch(1, null, isStreamed: true, made => device = made));
            for (var pass = 0; pass < 3; pass++) engine.ForwardBackward(FastRun.Batch(300, true), 1, new StepKey(1, 0, 0));
            Assert.Equal(memory.DeviceBaseBytes(isStreamed: true, window), device!.Heap.Of(DeviceUse.Weights) + device.Heap.Of(DeviceUse.Rooms));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_device_that_is_not_here_is_planned_for_and_decides_between_refusal_and_streaming()
    {
        var options = new TrainingOptions { Model = "llama31", ModelDirectory = Golden.Folder("llama31"), Data = new Trainer.Data.DataOptions(),
            OutputDirectory = "o", Device = "cuda", DeviceMemoryBytes = 8L << 30, Compute = ComputeKind.BFloat16, MaxSteps = 3 };
        var plan = RunPlanner.Plan(options);
        Assert.True(plan is { Fits: true, Stream: false, Device: "cuda", DeviceLimitBytes: 8L << 30 }, plan.Verdict);
        var needed = plan.DeviceMemory.ToDictionary(part => part.Name, part => part.Bytes);
        Assert.Equal(plan.DevicePeakBytes, needed.Values.Sum());
        // A byte more than nothing of the base fits: its layers take turns; half of all else does not, and is refused with what would help.
        var tight = RunPlanner.Plan(options with { DeviceMemoryBytes = plan.DevicePeakBytes - 1, GradientCheckpointing = Checkpointing.On });
        Assert.True(tight.Fits, tight.Verdict);
        var streamed = RunPlanner.Plan(options with { Stream = Choice.On });
        Assert.Contains("streamed", streamed.DeviceMemory.First(part => part.Name.StartsWith("base", StringComparison.Ordinal)).Name, StringComparison.Ordinal);
        var refused = RunPlanner.Plan(options with { DeviceMemoryBytes = 650L << 20, BatchSize = 64 });
        Assert.False(refused.Fits);
        Assert.Matches(@"of the device's memory, 650(\.0)? MiB are there", refused.Verdict);
        Assert.Contains(refused.Changes, change => change.Option.StartsWith("--batch-size 1", StringComparison.Ordinal));
        Assert.Throws<PlanRefusedException>(() => RunPlanner.Require(refused));
        Assert.Empty(RunPlanner.Plan(options with { Device = "cpu", DeviceMemoryBytes = null }).DeviceMemory);
    }

    private static int[] Ids(int length) => [.. Enumerable.Range(0, length).Select(i => (i * 7 + 3) % 200)];
}
