using Trainer.Training;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>Passes over the data as steps.</summary>
[Trait("ring", "model")]
public class StepCountTests
{
    [Theory]
    [InlineData(1, 10)]
    [InlineData(2.5, 25)]
    [InlineData(1e-12, 1)]
    public void Passes_are_counted_in_steps_and_one_is_made_at_least(double epochs, int steps)
    => Assert.Equal(steps, StepCount.Of(epochs, passes => (long)(passes * 10)));

    [Theory]
    [InlineData(1e9)]
    [InlineData(1e300)]
    public void More_steps_than_are_counted_are_refused_by_name(double epochs) =>
        Assert.Contains("lower it, or set --max-steps", Assert.Throws<OptionException>(() => StepCount.Of(epochs, passes => (long)passes * 10)).Message,
        StringComparison.Ordinal);
}
