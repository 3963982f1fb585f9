using Trainer.Data;
using Trainer.Distributed;
using Trainer.Models;
using Trainer.Numerics.Spans;
using Trainer.Training;
using Trainer.Training.Optimizers;
using Trainer.Training.Records;
using Trainer.Training.State;
using Trainer.Training.Steps;
using Trainer.Training.Watch;

namespace Trainer.Engine.Tests.Training;

/// <summary>
/// Trained sets above 2^31 floats: embedding and head of a 70B model. The first tensors lie at the beginning of 8.6 GB and the last behind it; the
/// system gives pages as they are touched, so a few are used. What is counted in 32 bits throws here, or reaches for the wrong tensor.
/// </summary>
[Trait("ring", "slow")]
public sealed class LargeSetTests
{
    private const long Far = (1L << 31) + 512;

    private readonly ParameterEntry[] _near = Tensors(64);
    private readonly ParameterEntry[] _far = Tensors(Far);

    public static TheoryData<string> Names() => [.. OptimizerTable.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_optimizer_steps_and_saves_far_tensors_as_near_ones(string name)
    {
        using Set near = new(_near, name), far = new(_far, name);
        foreach (var set in (Set[])[near, far])
            for (var step = 1; step <= 3; step++) set.Step(step);
        Assert.Equal(near.Values(), far.Values());
        Assert.Equal(near.Optimizer.State.Select(state => state.Part(0, (int)state.ByteCount).ToArray()),
            far.Optimizer.State.Select(state => state.Part(0, (int)state.ByteCount).ToArray()));

        AveragedValues.Keep(near.Store, near.Optimizer);
        AveragedValues.Keep(far.Store, far.Optimizer);
        Assert.Equal(near.Values(), far.Values());
    }

    [Fact]
    public void A_checkpoint_of_far_tensors_is_that_of_near_ones_and_is_read_back()
    {
        var folder = Directory.CreateTempSubdirectory("large-").FullName;
        try
        {
            using Set near = new(_near, "adamw"), far = new(_far, "adamw");
            foreach (var set in (Set[])[near, far])
            {
                set.Step(1);
                Directory.CreateDirectory(Path.Combine(folder, set.Name));
                CheckpointContent.WriteState(Path.Combine(folder, set.Name), new RunState(), History, new RunManifest { Options = set.Options }, set,
                    set.Optimizer);
            }
            byte[] Saved(Set set) => File.ReadAllBytes(Path.Combine(folder, set.Name, CheckpointContent.TensorsFile));
            Assert.Equal(Saved(near), Saved(far));

            using var fresh = new Set(_far, "adamw");
            new CheckpointContent(Path.Combine(folder, near.Name), new RunState(), History, new RunManifest { Options = near.Options }).Restore(fresh,
                fresh.Optimizer);
            Assert.Equal(near.Values(), fresh.Values());
            far.Step(2);
            fresh.Step(2);
            Assert.Equal(far.Values(), fresh.Values());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_fault_in_a_far_tensor_is_named_and_its_gradient_is_part_of_the_norm()
    {
        using var set = new Set(_far, "adamw");
        var last = _far[^1];
        set.Gradients[last.Offset + 5] = 3;
        set.Gradients[2] = 4;
        Assert.Equal(5, set.Store.GradientNorm());
        set.Gradients[last.Offset + 5] = float.NaN;
        Assert.Equal($"gradient {last.Name} is NaN at element 5", NonFinitePlace.In(set.Store.HostGradients(), _far, "gradient"));
        Assert.Equal($"gradient {last.Name} is NaN at element 5", NonFinitePlace.FromTop(set.Store.HostGradients(), _far, "gradient"));
    }

    [Fact]
    public void Only_an_adapter_that_stays_zero_is_told_as_one_that_did_not_move()
    {
        using var set = new Set(_far, "adamw");
        var options = set.Options;
        var rate = new Trainer.Training.Schedules.LearningRate(options, 10, new Trainer.Training.Schedules.Plateau());
        var watchdog = new Watchdog(options, set, set.Optimizer, rate, new Events([]), null!, new SingleProcess());
        Assert.Throws<InvalidOperationException>(() => watchdog.CheckAdapterMoved(0.1, 1, new RunState()));
        set.ValueArray[_far[^1].Offset + 1] = 1;
        watchdog.CheckAdapterMoved(0.1, 1, new RunState());
    }

    [Fact]
    public void Ranks_sum_every_block_and_the_riders_once()
    {
        using var set = new Set(_far, "adamw");
        var ranks = new Counter();
        set.Store.SumGradients(ranks, new double[3]);
        Assert.Equal((set.Store.Length, 3), (ranks.Floats, ranks.Riders));
    }

    [Fact]
    public void Frozen_blocks_of_far_tensors_are_left_as_they_were()
    {
        using var set = new Set(_far, "adamw");
        var blocks = FrozenBlock.Of(freezeA: true, isDoubled: false, [_far[0], _far[^1] with { Name = "m.layers.1.lora_A.weight" }]);
        set.ValueArray[Far] = 7;
        foreach (var block in blocks) block.Clear(set.ValueArray.All);
        Assert.Equal(0, set.ValueArray[Far]);
    }

    // A, B, and a vector: LoRA+ puts them into groups of their own, so that the gap before the last is in none.
    private static ParameterEntry[] Tensors(long last) =>
    [
        new("base_model.model.m.layers.0.lora_A.weight", [4, 8], 0),
        new("base_model.model.m.layers.0.lora_magnitude_vector", [8], 32),
        new("base_model.model.m.layers.0.lora_B.weight", [8, 4], last),
    ];

    private static readonly Trainer.Checkpoints.Runs.TrainerState History = new() { Epoch = 1, GlobalStep = 1, MaxSteps = 2 };

    private sealed class Set : IAdaptedModel
    {
        public Set(ParameterEntry[] tensors, string optimizer)
        {
            var length = tensors[^1].Offset + tensors[^1].Count;
            (ValueArray, Gradients) = (new LongArray<float>(length), new LongArray<float>(length));
            Store = new HostParameters(tensors, () => ValueArray.All, () => Gradients.All);
            Options = new()
            {
                Model = "", ModelDirectory = "", Data = new DataOptions(), OutputDirectory = "", Optim = optimizer, WeightDecay = 0.01,
                Lora = new LoraOptions { LoraPlusRatio = 4 },
                OptimArgs = optimizer switch
                {
                    "sgd" => new Dictionary<string, string> { ["momentum"] = "0.9" },
                    "adamw-8bit" => new Dictionary<string, string> { ["min_8bit_size"] = "16" },
                    "adafactor" => new Dictionary<string, string> { ["beta1"] = "0.9" },
                    _ => new Dictionary<string, string>(),
                },
            };
            Optimizer = OptimizerTable.Make(Store, Options);
        }

        public string Name => Store.Length > int.MaxValue ? "far" : "near";

        public TrainingOptions Options { get; }

        public HostParameters Store { get; }

        public LongArray<float> ValueArray { get; }

        public LongArray<float> Gradients { get; }

        public IOptimizer Optimizer { get; }

        public IParameterStore Parameters => Store;

        public long TotalParameters => Store.Length;

        public int VocabularySize => 1;

        public int Threads => 1;

        public ComputeKind Compute => ComputeKind.Float32;

        public float[] Values() => [.. Store.Tensors.SelectMany(tensor => ValueArray.All.Slice(tensor.Offset, tensor.Count).ToArray())];

        public void Step(int number)
        {
            var random = new Random(number);
            foreach (var tensor in Store.Tensors)
                for (var i = tensor.Offset; i < tensor.Offset + tensor.Count; i++) Gradients[i] = random.NextSingle() - 0.5f;
            Store.Step(Optimizer, new OptimizerStep(number, 0.01, 0.5));
        }

        public double ForwardBackward(MicroBatch batch, double lossScale, StepKey key) => throw new NotSupportedException();

        public double ForwardBackward(MicroBatch batch, Func<float[], float[]> weigh, StepKey key, double balance = 0, float[]? logitMeans = null)
            => throw new NotSupportedException();

        public float[] BaseTokenLosses(MicroBatch batch) => throw new NotSupportedException();

        public float[] TokenLosses(MicroBatch batch, float[]? logitMeans = null) => throw new NotSupportedException();

        public float[] Logits(MicroBatch batch) => throw new NotSupportedException();

        public ulong BaseChecksum() => throw new NotSupportedException();

        public void WriteAdapter(string directory) => throw new NotSupportedException();

        public float[] LogitsFromDisk(string directory, MicroBatch batch) => throw new NotSupportedException();

        public IEnumerable<string> ReaderVerdicts(string directory) => [];

        public string? FindNonFinite(MicroBatch batch) => null;

        public void Dispose()
        {
            Optimizer.Dispose();
            ValueArray.Dispose();
            Gradients.Dispose();
        }
    }

    private sealed class Counter : ICollective
    {
        public long Floats { get; private set; }

        public int Riders { get; private set; }

        public int Rank => 0;

        public int Size => 2;

        public int LocalRank => 0;

        public int LocalSize => 2;

        public string Description => "two ranks";

        public void Sum(Span<float> values, Span<double> riders) => (Floats, Riders) = (Floats + values.Length, Riders + riders.Length);

        public void Broadcast(Span<byte> bytes)
        {
        }

        public void Gather(ReadOnlySpan<byte> mine, Span<byte> all) => mine.CopyTo(all);

        public void Barrier()
        {
        }

        public void Abort(int exitCode)
        {
        }

        public void Dispose()
        {
        }
    }
}
