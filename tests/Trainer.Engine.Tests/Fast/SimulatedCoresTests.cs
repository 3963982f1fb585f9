using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed class SimulatedCoresTests
{
    // Chunks are taken in their order by whoever is free first: times by hand.
    [Theory]
    [InlineData(2, new double[] { 1, 1, 1, 1 }, 2.5)]
    [InlineData(2, new double[] { 3, 1, 1, 1 }, 3.5)]
    [InlineData(2, new double[] { 1, 1, 1, 3 }, 4.5)]
    [InlineData(3, new double[] { 2, 2, 2, 2 }, 4.5)]
    [InlineData(64, new double[] { 1, 2, 4 }, 4.5)]
    [InlineData(2, new double[] { 5 }, 5)]
    [InlineData(2, new double[] { 0.2, 0.2 }, 0.4)]
    [InlineData(1, new double[] { 1, 2, 3 }, 6)]
    [InlineData(4, new double[0], 0)]
    public void A_loop_takes_what_its_busiest_thread_takes_and_fork_and_join(int workers, double[] chunks, double expected)
        => Assert.Equal(expected, new TeamModel(workers, 0.5).Seconds(chunks), 12);

    [Theory, InlineData(1, 0), InlineData(2, 3e-6), InlineData(64, 18e-6)]
    public void Fork_and_join_grow_with_the_logarithm(int workers, double expected) => Assert.Equal(expected, TeamModel.Of(workers, 3e-6).ForkJoin, 12);

    [Fact]
    public void The_clock_goes_on_by_what_the_team_would_take_and_every_chunk_runs_here()
    {
        var (here, elsewhere, visited) = (Environment.CurrentManagedThreadId, 0, 0L);
        using var team = new SimulatedTeam(new TeamModel(8, 0));
        Assert.Equal(8, ComputeThreads.Count);
        var (start, raw) = (BenchClock.Now, BenchClock.Raw);
        ComputeThreads.For(0, 16, 1, (slot, begin, end) =>
        {
            if (Environment.CurrentManagedThreadId != here || slot != 0) elsewhere++;
            visited += end - begin;
            Thread.Sleep(5);
        });
        double modelled = BenchClock.Since(start), computed = BenchClock.Seconds(BenchClock.Raw - raw);
        Assert.Equal((0, 16, 1, 16, 0), (elsewhere, visited, team.Counts.Loops, team.Counts.Chunks, team.Counts.NarrowLoops));
        Assert.True(computed >= 0.08, $"{computed} s");
        ComputeThreads.For(0, 3, 1, (_, _) => { });
        Assert.Equal((2, 19, 1), (team.Counts.Loops, team.Counts.Chunks, team.Counts.NarrowLoops));
        Assert.InRange(team.Counts.LoopSeconds - team.Counts.NarrowSeconds, 0.01, modelled);
        // Two rounds of eight: whatever a sleep lasts longer than asked for, fourteen lie beside others.
        Assert.True(modelled >= 0.01 && computed - modelled > 0.05, $"{modelled} of {computed} s");
    }

    // What a simulation scales: a layer's time apart from what comes once, and in each what no loop shares.
    [Fact]
    public void A_meter_tells_times_by_place_and_what_of_them_was_in_loops()
    {
        using var team = new SimulatedTeam(new TeamModel(4, 0));
        var meter = new StepMeter();
        void Loop(int chunks) => ComputeThreads.For(0, chunks, 1, (_, begin, end) => Thread.Sleep((int)(4 * (end - begin))));
        using (meter.Measure(StepPart.Loss)) Loop(4);
        using (meter.MeasureLayer(StepPlace.Layer))
        {
            using (meter.Measure(StepPart.Products, 10)) Loop(8);
            Thread.Sleep(4);
        }
        using (meter.Measure(StepPart.Products, 1)) Thread.Sleep(4);

        Assert.Equal((0, 11), (meter.Operations(StepPart.Loss), meter.AllOperations));
        Assert.Equal(default, meter.Time(StepPlace.Layer, StepPart.Loss));
        Assert.Equal(default, meter.Time(StepPlace.Recomputed, null));
        var (loss, products, layer, outside) = (meter.Time(StepPlace.Around, StepPart.Loss), meter.Time(StepPlace.Layer, StepPart.Products),
            meter.Time(StepPlace.Layer, null), meter.Time(StepPlace.Around, StepPart.Products));
        Assert.InRange(loss.InLoops, 0.004, loss.Seconds);
        Assert.InRange(products.InLoops, 0.008, products.Seconds);
        Assert.InRange(layer.Seconds - layer.InLoops, 0.004, layer.Seconds);
        Assert.Equal(products.InLoops, layer.InLoops, 9);
        Assert.True(outside is { InLoops: 0, Seconds: >= 0.004 });
        Assert.Equal(products.Seconds + outside.Seconds, meter.Seconds(StepPart.Products), 9);
    }

    [Theory]
    [InlineData("llama-3.1-8b", null, 2, 1024, 1)]
    [InlineData("llama-3.1-8b", 4, 4, 1024, 1)]
    [InlineData("tiny", 1, 2, 512, 0)]
    public void Of_a_shape_few_layers_are_computed_and_a_large_head_apart(string name, int? asked, int layers, int vocabulary, int heads)
    {
        var shape = ModelShape.Find(name)!;
        var (body, head) = (CoresBench.Body(shape, asked), CoresBench.Head(shape));
        Assert.Equal((layers, vocabulary, shape.Hidden, shape.Wide), (body.Layers, body.Vocabulary, body.Hidden, body.Wide));
        Assert.Equal(heads, head is null ? 0 : 1);
        if (head is not null) Assert.Equal((1, shape.Vocabulary, shape.Hidden, shape.Tied), (head.Layers, head.Vocabulary, head.Hidden, head.Tied));
    }

    [Fact]
    public void After_a_simulation_the_team_computes_again()
    {
        using (new SimulatedTeam(new TeamModel(8, 0))) Assert.Equal(8, ComputeThreads.Count);
        Assert.Equal(TorchSharp.torch.get_num_threads(), ComputeThreads.Count);
    }

    [Fact]
    public void A_threads_own_time_does_not_go_on_while_it_sleeps()
    {
        if (!OperatingSystem.IsLinux()) return;
        var start = ThreadClock.Nanoseconds;
        Thread.Sleep(100);
        var asleep = ThreadClock.Nanoseconds - start;
        double sum = 0;
        for (var i = 1; i < 3_000_000; i++) sum += Math.Sqrt(i);
        Assert.True(sum > 0);
        Assert.InRange(asleep, 0, 50_000_000);
        Assert.True(ThreadClock.Nanoseconds - start > asleep);
    }
}
