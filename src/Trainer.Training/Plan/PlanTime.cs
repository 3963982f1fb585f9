namespace Trainer.Training.Plan;

/// <summary>How often a run evaluates and saves, and how long that takes.</summary>
internal static class PlanTime
{
    // A checkpoint is hashed, written, synced to the disk, read back and hashed again: a slow solid-state disk's rate over all of it.
    private const double SavedBytesPerSecond = 100e6;

    /// <summary>Evaluations of a run: before the first step, at each multiple of --eval-steps, and at the end.</summary>
    /// <param name="options">The run.</param>
    /// <param name="steps">Its steps.</param>
    /// <param name="stepsPerEpoch">Steps of an epoch; 0 where nothing is counted in epochs.</param>
    public static long Evaluations(TrainingOptions options, long steps, long stepsPerEpoch = 0) =>
        (options.EvalStrategy == Pace.Epoch ? stepsPerEpoch : TrainingOptions.Every(options.EvalSteps ?? 0, steps)) is > 0 and var every
        ? 1 + steps / every + (steps % every == 0 ? 0 : 1) : 2;

    /// <summary>Checkpoints a run writes, and the adapter at its end.</summary>
    /// <param name="options">The run.</param>
    /// <param name="steps">Its steps.</param>
    /// <param name="stepsPerEpoch">Steps of an epoch; 0 where nothing is counted in epochs.</param>
    public static long Saves(TrainingOptions options, long steps, long stepsPerEpoch = 0) =>
        1 + ((options.SaveStrategy == Pace.Epoch ? stepsPerEpoch : TrainingOptions.Every(options.SaveSteps, steps)) is > 0 and var every
        ? steps / every + (steps % every == 0 ? 0 : 1) : 0);

    /// <summary>Seconds of one evaluation, from the seconds of a token in a micro-step.</summary>
    /// <param name="evalTokens">Tokens of the rows.</param>
    /// <param name="secondsPerToken">Of a micro-step.</param>
    /// <param name="recompute">Whether a step computes layers a second time.</param>
    /// <param name="extraPasses">Forward passes beside the trained one, which an evaluation makes too.</param>
    public static double EvaluationSeconds(long evalTokens, double secondsPerToken, bool recompute, int extraPasses = 0) =>
        evalTokens * secondsPerToken * (1 + extraPasses) / Passes(recompute, extraPasses);

    /// <summary>Seconds of asking the reference about every row.</summary>
    public static double ReferenceSeconds(long tokens, double secondsPerToken, bool recompute, int extraPasses)
        => tokens * secondsPerToken / Passes(recompute, extraPasses);

    // The base is passed once forward and once backward, once more where layers are recomputed, and forward for whatever else is measured.
    private static double Passes(bool recompute, int extraPasses) => 2 + (recompute ? 1 : 0) + extraPasses;

    /// <summary>Seconds of one checkpoint.</summary>
    public static double SaveSeconds(long bytes) => bytes / SavedBytesPerSecond;
}
