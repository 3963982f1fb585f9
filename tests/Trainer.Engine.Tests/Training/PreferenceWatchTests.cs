using Trainer.Training;
using Trainer.Training.Objectives;
using Trainer.Training.Records;
using Trainer.Training.Watch;

namespace Trainer.Engine.Tests.Training;

/// <summary>What goes wrong in a preference run without showing in its loss is said once, and what only wavers is not.</summary>
[Trait("ring", "unit")]
public sealed class PreferenceWatchTests : ITrainingObserver
{
    private readonly List<string> _said = [];

    [Fact]
    public void A_margin_that_was_won_and_is_lost_is_said_once()
    {
        var watch = Watch();
        for (var step = 1; step <= 60; step++) watch.Stepped(step, Measured(margin: step <= 30 ? 0.1 * step : 3 - 0.15 * (step - 30) + 0.05 * (step % 3)));
        Assert.Contains("margin between chosen and rejected answers collapses", Assert.Single(_said), StringComparison.Ordinal);
    }

    [Fact]
    public void A_margin_that_wavers_or_stays_is_not_said()
    {
        var watch = Watch();
        for (var step = 1; step <= 100; step++) watch.Stepped(step, Measured(margin: 0.02 * step + Math.Sin(step * 1.7)));
        for (var step = 100; step <= 200; step++) watch.Stepped(step, Measured(margin: 2 + Math.Sin(step * 1.7)));
        Assert.Empty(_said);
    }

    [Theory]
    [InlineData("dpo", null)]
    [InlineData("dpo", "none")]
    [InlineData("simpo", null)]
    [InlineData("kto", null)]
    public void Both_answers_becoming_unlikely_is_said(string objective, string? reference)
    {
        var watch = Watch(objective, reference);
        for (var step = 1; step <= 40; step++)
            watch.Stepped(step, Measured(margin: 0.02 * step, chosen: -50 - step, rejected: -50 - 1.5 * step, reward: -0.1 * step));
        Assert.Contains("log-probabilities of both answers fall", Assert.Single(_said), StringComparison.Ordinal);
    }

    [Fact]
    public void A_rejected_answer_that_falls_alone_is_what_is_wanted()
    {
        var watch = Watch();
        for (var step = 1; step <= 40; step++) watch.Stepped(step, Measured(margin: 0.1 * step, chosen: -50, rejected: -50 - step, reward: 0.02));
        Assert.Empty(_said);
    }

    [Fact]
    public void Rows_that_are_less_likely_by_themselves_are_no_fall()
    {
        // With a reference the same rows are compared: longer rows come late here, and the policy has not moved on them.
        var watch = Watch();
        for (var step = 1; step <= 40; step++) watch.Stepped(step, Measured(margin: 0.1, chosen: -10 * step, rejected: -10 * step, reward: 0));
        Assert.Empty(_said);
    }

    [Fact]
    public void Evaluations_are_watched_too()
    {
        var watch = Watch();
        foreach (var (step, margin) in new[] { (0, 0.0), (10, 1.0), (20, 0.8), (30, 0.3) }) watch.Evaluated(step, Measured(margin));
        Assert.Contains("step 30: the margin between chosen and rejected answers collapses on held-out rows, from 1 to 0.3", Assert.Single(_said),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_supervised_run_measures_nothing_and_hears_nothing()
    {
        var watch = Watch("sft");
        for (var step = 1; step <= 40; step++) watch.Stepped(step, new Dictionary<string, double>());
        watch.Evaluated(40, new Dictionary<string, double>());
        Assert.Empty(_said);
    }

    void ITrainingObserver.On(TrainingEvent trainingEvent)
    {
        if (trainingEvent is Noted { IsWarning: true } note) _said.Add(note.Text);
    }

    private PreferenceWatch Watch(string objective = "dpo", string? reference = null) =>
        new(new TrainingOptions { Model = "m", ModelDirectory = "m", OutputDirectory = "o", Data = new Trainer.Data.DataOptions(), Objective = objective,
        Preference = new PreferenceOptions { Reference = reference } }, new Events([this]));

    private static Dictionary<string, double> Measured(double margin, double chosen = -50, double rejected = -55, double reward = 0) => new()
    {
        ["rewards/margins"] = margin, ["rewards/chosen"] = reward * 5, ["rewards/rejected"] = reward * 5 - margin, ["logps/chosen"] = chosen,
        ["logps/rejected"] = rejected,
    };
}
