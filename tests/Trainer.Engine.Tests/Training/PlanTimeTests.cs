using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Engine.Tests.Training;

/// <summary>Evaluations and checkpoints in the time of a plan.</summary>
public class PlanTimeTests
{
    private static readonly TrainingOptions Options = new() { Model = "m", ModelDirectory = "m", Data = new Trainer.Data.DataOptions(), OutputDirectory = "o" };

    [Theory]
    [InlineData(null, 100, 2)]
    [InlineData(20.0, 100, 6)]
    [InlineData(30.0, 100, 5)]
    [InlineData(0.3, 100, 5)]
    public void Evaluations_are_the_first_each_due_one_and_the_last(double? every, long steps, long expected) =>
        Assert.Equal(expected, PlanTime.Evaluations(Options with { EvalSteps = every }, steps));

    [Theory]
    [InlineData(0, 100, 1)]
    [InlineData(20, 100, 6)]
    [InlineData(30, 100, 5)]
    [InlineData(0.011, 100, 51)]
    public void Checkpoints_are_each_due_one_and_the_last_with_the_adapter_behind_them(double every, long steps, long expected) =>
        Assert.Equal(expected, PlanTime.Saves(Options with { SaveSteps = every }, steps));

    [Fact]
    public void An_evaluation_costs_half_a_micro_step_a_token_and_a_third_where_layers_are_recomputed()
    {
        Assert.Equal(5, PlanTime.EvaluationSeconds(1000, 0.01, recompute: false), 9);
        Assert.Equal(10.0 / 3, PlanTime.EvaluationSeconds(1000, 0.01, recompute: true), 9);
    }
}
