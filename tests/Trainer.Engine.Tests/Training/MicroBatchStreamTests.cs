using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Engine.Tests.Training;

/// <summary>Runs whose streamed layers are read once for several micro-batches: the same adapters, planned memory.</summary>
[Trait("ring", "model")]
public sealed class MicroBatchStreamTests
{
    [Fact]
    public void A_run_gives_the_same_bytes_whether_its_layers_are_read_once_for_a_step_or_for_each_micro_batch()
    {
        var adapters = new List<string>();
        foreach (var together in (int?[])[1, 2, 4, null])
        {
            using var run = Run();
            run.Options = run.Options with { StreamMicroBatches = together, SaveSteps = 2 };
            adapters.Add(run.Run().AdapterSha256);
        }
        Assert.Single(adapters.Distinct());
    }

    [Fact]
    public void The_plan_takes_as_many_as_memory_allows_and_counts_them()
    {
        using var run = Run();
        var one = RunPlanner.Plan(run.Options with { StreamMicroBatches = 1 });
        var auto = RunPlanner.Plan(run.Options);
        Assert.Equal((1, 4), (one.StreamMicroBatches, auto.StreamMicroBatches));
        var further = auto.Memory.Single(part => part.Name == "streams of micro-batches that go together").Bytes;
        var memory = new RunMemory(RunAdapter.Of(run.Options, Trainer.Models.Families.ConfigLoader.Load(run.Options.ModelDirectory)), run.Options);
        Assert.Equal(auto.PeakBytes - one.PeakBytes, further);
        Assert.Equal(0, further % 4);
        // Room for two, in what the plan leaves free.
        var tight = RunPlanner.Plan(run.Options with { MaxMemoryBytes = (long)((one.PeakBytes + further / 2) / 0.93) + 1 });
        Assert.Equal(2, tight.StreamMicroBatches);
        Assert.True(tight.Fits, tight.Verdict);
        Assert.Equal(1, RunPlanner.Plan(run.Options with { MaxMemoryBytes = one.PeakBytes }).StreamMicroBatches);
        Assert.False(RunPlanner.Plan(run.Options with { MaxMemoryBytes = one.PeakBytes, StreamMicroBatches = 4 }).Fits);
        // Where nothing is streamed, or everything of a pass is kept, there is nothing to take together.
        Assert.Equal(1, RunPlanner.Plan(run.Options with { Stream = Choice.Off }).StreamMicroBatches);
        Assert.Equal(1, RunPlanner.Plan(run.Options with { GradientCheckpointing = Checkpointing.None, StreamMicroBatches = 4 }).StreamMicroBatches);
        Assert.True(memory.OwnBytes(Engine.Passes.BatchShape.OfRows(64, 64, 64)) > 64L * 64 * sizeof(float) * 2);
    }

    private static GoldenRun Run()
    {
        var run = new GoldenRun("llama31_base", "llama31", 320, 4);
        run.Options = run.Options with { Quantize = QuantizeKind.Nf4, Stream = Choice.On, GradientCheckpointing = Checkpointing.On, MaxSteps = 3,
            BatchSize = 1 };
        return run;
    }
}
