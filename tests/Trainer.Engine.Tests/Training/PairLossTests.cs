using System.Text.Json;
using Trainer.Data;
using Trainer.Engine.Tests.Models;
using Trainer.Training;
using Trainer.Training.Objectives;

namespace Trainer.Engine.Tests.Training;

/// <summary>Every loss over pairs and labels, and its derivatives, equal a table in float64 with scores from -3 to -900.</summary>
public class PairLossTests
{
    [Fact]
    public void Losses_and_derivatives_equal_the_table()
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Golden.Fixtures, "preference", "loss_table.json")));
        var inputs = json.RootElement.GetProperty("inputs");
        var seen = new HashSet<string>();
        foreach (var row in json.RootElement.GetProperty("rows").EnumerateArray())
        {
            var name = row.GetProperty("loss").GetString()!.Replace('_', '-') is var given && given == "cdpo" ? "conservative" : given;
            if (!PairLoss.Names.Contains(name)) continue;
            seen.Add(name);
            for (var i = 0; i < row.GetProperty("per_pair").GetArrayLength(); i++)
            {
                double At(string key) => inputs.GetProperty(key)[i].GetDouble();
                var result = PairLoss.Of(
                    name, Score(At("pc"), At("rc"), (int)At("nc")), Score(At("pr"), At("rr"), (int)At("nr")), row.GetProperty("beta").GetDouble(),
                    row.TryGetProperty("label_smoothing", out var smoothing) && smoothing.ValueKind == JsonValueKind.Number ? smoothing.GetDouble() : 0);
                Near(row.GetProperty("per_pair")[i], result.Loss, $"{name} {i}");
                Near(row.GetProperty("d_chosen")[i], result.ByChosen, $"{name} {i} by chosen");
                Near(row.GetProperty("d_rejected")[i], result.ByRejected, $"{name} {i} by rejected");
            }
        }
        Assert.True(seen.Count >= PairLoss.Names.Count - 1, string.Join(", ", PairLoss.Names.Except(seen)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_derivatives_are_those_of_the_loss(string name)
    {
        const double h = 1e-3;
        PairLoss.Result At(double chosen, double rejected) => PairLoss.Of(name, Score(chosen, -21, 8), Score(rejected, -17, 5), 0.3, 0.1);
        var (_, byChosen, byRejected) = At(-20, -16.5);
        Assert.Equal((At(-20 + h, -16.5).Loss - At(-20 - h, -16.5).Loss) / (2 * h), byChosen, 2e-3);
        Assert.Equal((At(-20, -16.5 + h).Loss - At(-20, -16.5 - h).Loss) / (2 * h), byRejected, 2e-3);
    }

    [Theory]
    [InlineData("dpo", "sigmoid", 0.1, "use conservative, robust or exo-pair")]
    [InlineData("dpo", "exo-pair", 0, "needs --label-smoothing above 0")]
    [InlineData("dpo", "sigmoidal", 0, "is no loss of --objective dpo")]
    [InlineData("dpo", "sft", 0, "compares nothing")]
    [InlineData("orpo", "trl", 0.1, "is not read by --objective orpo")]
    [InlineData("simpo", "simpo", 0, "has one form only")]
    [InlineData("kto", "kto", 0, "--batch-size must be at least 2")]
    [InlineData("ppo", "", 0, "--objective 'ppo' is unknown")]
    public void What_the_loss_does_not_read_is_refused(string objective, string type, double smoothing, string what)
    {
        var options = new TrainingOptions
        {
            Model = "",
            ModelDirectory = "",
            Data = new DataOptions(),
            OutputDirectory = "",
            Objective = objective,
            LabelSmoothing = smoothing,
            Preference = new PreferenceOptions { LossType = type.Length > 0 ? [type] : [] },
        };
        Assert.Contains(PreferenceCheck.Faults(options), fault => fault.Contains(what, StringComparison.Ordinal));
    }

    public static TheoryData<string> Names() => [.. PairLoss.Names];

    private static AnswerScore Score(double policy, double reference, int count)
    {
        float[] Spread(double sum) => [.. Enumerable.Repeat((float)(-sum / count), count)];
        return new AnswerScore(SegmentRole.Chosen, 0, 0, count, Spread(policy), Spread(reference));
    }

    private static void Near(JsonElement expected, double actual, string what)
    {
        var value = expected.GetDouble();
        Assert.True(Math.Abs(value - actual) <= 2e-5 * Math.Max(1, Math.Abs(value)), $"{what}: {value} is {actual}");
    }
}
