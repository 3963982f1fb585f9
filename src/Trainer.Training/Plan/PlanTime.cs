using System.Diagnostics;
using System.Security.Cryptography;
using Trainer.Data;
using Trainer.Training.Objectives;

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

    /// <summary>What evaluations, checkpoints and asking the reference beforehand take beside the steps.</summary>
    /// <param name="options">The run.</param>
    /// <param name="dataset">Its data, or null where none is named.</param>
    /// <param name="steps">Its steps, or null where they are not known.</param>
    /// <param name="stepsPerEpoch">Steps of an epoch, or null.</param>
    /// <param name="checkpointBytes">Bytes of one checkpoint.</param>
    /// <param name="recompute">Whether a step computes layers a second time.</param>
    /// <param name="secondsPerToken">Of a micro-step, or null where nothing was measured.</param>
    public static IReadOnlyList<TimePart> Besides(TrainingOptions options, Dataset? dataset, long? steps, long? stepsPerEpoch, long checkpointBytes,
        bool recompute, double? secondsPerToken)
    {
        if (steps is not { } count) return [];
        List<TimePart> parts = [new("checkpoints and the adapter", Saves(options, count, stepsPerEpoch ?? count) * SaveSeconds(checkpointBytes))];
        if (dataset is null || secondsPerToken is not { } each) return parts;
        var extra = ObjectiveTable.ExtraPasses(options);
        if (options.Preference.PrecomputeReference)
            parts.Add(new("asking the reference", ReferenceSeconds(dataset.Train.Tokens + (dataset.Eval?.Tokens ?? 0), each, recompute, extra)));
        if (dataset.Eval is { } eval)
            parts.Add(new("evaluations", Evaluations(options, count, stepsPerEpoch ?? count) * EvaluationSeconds(eval.Tokens, each, recompute, extra)));
        return parts;
    }

    /// <summary>Seconds of proving the saved adapter: it answers from memory, from disk, and the base does without it.</summary>
    /// <param name="tokens">Tokens of the rows it answers on.</param>
    /// <param name="secondsPerToken">Of a micro-step.</param>
    /// <param name="recompute">Whether a step computes layers a second time.</param>
    public static double ProofSeconds(long tokens, double secondsPerToken, bool recompute) => 3 * EvaluationSeconds(tokens, secondsPerToken, recompute);

    /// <summary>Seconds of hashing so many bytes, by how fast this machine hashes some.</summary>
    /// <param name="bytes">Of the files a run is known by.</param>
    public static double HashSeconds(long bytes)
    {
        var some = new byte[16 << 20];
        var clock = Stopwatch.StartNew();
        SHA256.HashData(some);
        return bytes * clock.Elapsed.TotalSeconds / some.Length;
    }

    /// <summary>Seconds of one checkpoint.</summary>
    public static double SaveSeconds(long bytes) => bytes / SavedBytesPerSecond;
}
