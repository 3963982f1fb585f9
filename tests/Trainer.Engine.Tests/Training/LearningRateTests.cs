using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>The schedules against transformers' get_*_schedule_with_warmup (values of a recorded run) and by hand.</summary>
public class LearningRateTests
{
    [Fact]
    public void Cosine_with_warmup_equals_transformers()
    {
        // get_cosine_schedule_with_warmup(num_warmup_steps=2, num_training_steps=10), lr 1e-3, transformers 5.16
        double[] expected = [0.0, 0.0005, 0.001, 0.0009619397662556434, 0.0008535533905932737, 0.000691341716182545, 0.0005, 0.0003086582838174551, 0.00014644660940672628, 3.806023374435663e-05];
        var rate = new LearningRate(LrScheduler.Cosine, 1e-3, 0, 2, 10);
        for (var step = 0; step < expected.Length; step++) Assert.Equal(expected[step], rate.At(step), 15);
    }

    [Theory]
    [InlineData(101, 4.9999994861722165e-05)]
    [InlineData(2550, 2.5e-05)]
    [InlineData(4999, 5.138277833771632e-12)]
    [InlineData(5000, 0.0)]
    public void Cosine_over_a_long_run_equals_the_recorded_values(int step, double expected) =>
        Assert.Equal(expected, new LearningRate(LrScheduler.Cosine, 5e-5, 0, 100, 5000).At(step), 1e-19);

    [Fact]
    public void Linear_falls_to_its_minimum_in_a_straight_line()
    {
        var rate = new LearningRate(LrScheduler.Linear, 1, 0.1, 0, 9);
        Assert.Equal(1, rate.At(0));
        Assert.Equal(0.7, rate.At(3), 12);
        Assert.Equal(0.1, rate.At(9), 12);
        Assert.Equal(0.1, rate.At(12), 12);
    }

    [Fact]
    public void Constant_stays_after_warmup()
    {
        var rate = new LearningRate(LrScheduler.Constant, 2, 0, 4, 100);
        Assert.Equal([0.0, 0.5, 1.0, 1.5, 2.0, 2.0], Enumerable.Range(0, 6).Select(rate.At));
        Assert.Equal(2, rate.At(99));
    }

    [Fact]
    public void Wsd_decays_over_the_last_tenth()
    {
        var rate = new LearningRate(LrScheduler.Wsd, 1, 0, 10, 100);
        Assert.Equal(0.5, rate.At(5));
        Assert.Equal(1, rate.At(90));
        Assert.Equal(0.5, rate.At(95), 12);
        Assert.Equal(0, rate.At(100), 12);
    }

    [Theory]
    [InlineData(0.03, 100, 3)]
    [InlineData(0.03, 10, 1)]
    [InlineData(0, 10, 0)]
    [InlineData(7, 10, 7)]
    public void Warmup_below_one_is_a_ratio_rounded_up(double warmup, int total, int steps) =>
        Assert.Equal(steps, new LearningRate(LrScheduler.Linear, 1, 0, warmup, total).WarmupSteps);
}
