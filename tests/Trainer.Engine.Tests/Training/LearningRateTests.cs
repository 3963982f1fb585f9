using System.Text.Json;
using Trainer.Engine.Tests.Models;
using Trainer.Training;
using Trainer.Training.Schedules;

namespace Trainer.Engine.Tests.Training;

/// <summary>The schedules against tables of transformers 5.12 (tests/fixtures/schedules) and by hand.</summary>
public class LearningRateTests
{
    private static readonly string Folder = Path.Combine(Golden.Fixtures, "schedules");

    public static TheoryData<string> Files()
        => [.. Directory.GetFiles(Folder, "*.json").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public void Sixty_steps_equal_transformers(string name)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, name + ".json")));
        foreach (var table in json.RootElement.GetProperty("tables").EnumerateArray())
        {
            var arguments = table.GetProperty("kwargs").EnumerateObject().ToDictionary(each => each.Name,
                each => each.Value.ValueKind == JsonValueKind.String ? each.Value.GetString()! : each.Value.GetRawText());
            var options = Options(name == "constant_with_warmup" ? "constant" : name.Replace('_', '-'), table.GetProperty("lr").GetDouble(),
                table.GetProperty("warmup_steps").GetInt32(), arguments);
            var rate = new LearningRate(options, table.GetProperty("total_steps").GetInt32(), new Plateau());
            for (var step = 0; step < 60; step++)
            {
                Assert.Equal(table.GetProperty("lrs")[step].GetDouble(), rate.At(step), 1e-15);
                if (table.TryGetProperty("metrics_after_step", out var metrics) && metrics.TryGetProperty($"{step}", out var value))
                    rate.Evaluated(value.GetDouble());
            }
        }
    }

    [Fact]
    public void The_lowest_rate_is_kept_by_schedules_that_fall()
    {
        foreach (var name in ScheduleTable.Names.Except(["constant", "reduce-lr-on-plateau", "inverse-sqrt", "cosine-warmup-with-min-lr"]))
            Assert.Equal(0.1, new LearningRate(Options(name, 1, 2, []) with { MinLr = 0.1 }, 20, new Plateau()).At(20), 1e-9);
    }

    [Fact]
    public void Constant_stays_after_warmup()
    {
        var rate = new LearningRate(Options("constant", 2, 4, []), 100, new Plateau());
        Assert.Equal([0.0, 0.5, 1.0, 1.5, 2.0, 2.0], Enumerable.Range(0, 6).Select(rate.At));
        Assert.Equal(2, rate.At(99));
    }

    [Fact]
    public void Wsd_decays_over_the_last_tenth()
    {
        var rate = new LearningRate(Options("wsd", 1, 10, []), 100, new Plateau());
        Assert.Equal(0.5, rate.At(5));
        Assert.Equal(1, rate.At(90));
        Assert.Equal(0.5, rate.At(95), 12);
        Assert.Equal(0, rate.At(100), 12);
    }

    [Theory]
    [InlineData(0.03, null, 100, 3)]
    [InlineData(0.03, null, 10, 1)]
    [InlineData(0, null, 10, 0)]
    [InlineData(7, null, 10, 7)]
    [InlineData(0.03, 1.0, 10, 10)]
    [InlineData(0.03, 0.25, 10, 3)]
    [InlineData(7, 0.0, 10, 0)]
    public void A_warmup_ratio_is_rounded_up_and_a_ratio_of_one_is_the_whole_run(double warmup, double? ratio, int total, int steps) =>
        Assert.Equal(steps, new LearningRate(Options("linear", 1, warmup, []) with { WarmupRatio = ratio }, total, new Plateau()).WarmupSteps);

    [Theory]
    [InlineData(0.03)]
    [InlineData(5)]
    public void A_run_of_one_step_trains(double warmup) => Assert.Equal(1, new LearningRate(Options("cosine", 1, warmup, []), 1, new Plateau()).At(0));

    [Theory]
    [InlineData("cosine", "cycles", "1", "cosine has no argument 'cycles'; it takes num_cycles")]
    [InlineData("polynomial", "lr_end", "2", "is not below --learning-rate")]
    [InlineData("warmup-stable-decay", "decay_type", "steep", "use one of linear, cosine, 1-sqrt")]
    [InlineData("warmup-stable-decay", "num_decay_steps", "99", "more than the run's 50")]
    [InlineData("steps", "x", "1", "use one of cosine, linear")]
    public void What_a_schedule_does_not_know_is_refused(string name, string argument, string value, string what) =>
        Assert.Contains(
            what, Assert.Throws<OptionException>(() => new LearningRate(Options(name, 1, 0, new() { [argument] = value }), 50, new Plateau())).Message,
            StringComparison.Ordinal);

    private static TrainingOptions Options(string name, double peak, double warmup, Dictionary<string, string> arguments) => new()
    {
        Model = "",
        ModelDirectory = "",
        Data = new Trainer.Data.DataOptions(),
        OutputDirectory = "",
        LrScheduler = name,
        LrSchedulerArgs = arguments,
        LearningRate = peak,
        WarmupSteps = warmup,
    };
}
