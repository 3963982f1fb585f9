namespace Trainer.Training.Steps;

/// <summary>The steps of a run that is measured in passes over its data.</summary>
internal static class StepCount
{
    // An epoch has a step at least, so more passes cannot be counted either.
    private const double MostEpochs = int.MaxValue;

    /// <summary>Steps of so many passes, one at least.</summary>
    /// <param name="epochs">Passes, or parts of one.</param>
    /// <param name="stepsOf">What the data says of so many passes.</param>
    /// <exception cref="OptionException">They are more than are counted.</exception>
    public static int Of(double epochs, Func<double, long> stepsOf)
    {
        var steps = epochs < MostEpochs ? stepsOf(epochs) : long.MaxValue;
        return steps <= int.MaxValue ? (int)Math.Max(1, steps)
            : throw new OptionException($"--epochs {Options.Quantities.Plain(epochs)} is more than {int.MaxValue} steps of this data; lower it, or set "
                + "--max-steps");
    }
}
