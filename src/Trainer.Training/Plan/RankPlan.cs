using Trainer.Data;
using Trainer.Data.Batching;
using Trainer.Distributed;

namespace Trainer.Training.Plan;

/// <summary>What several ranks would make of a run.</summary>
public sealed record RankPlan
{
    // Where nothing is measured: how long a rank's part must be for nine tenths of the time to be work.
    private const double GoodEfficiency = 0.9;

    /// <summary>How many.</summary>
    public required int Ranks { get; init; }

    /// <summary>Bytes a second of the link between them, in each direction.</summary>
    public required double LinkBytesPerSecond { get; init; }

    /// <summary>Bytes of the flat gradient, summed once a step.</summary>
    public required long GradientBytes { get; init; }

    /// <summary>Seconds of that sum in a ring.</summary>
    public required double RingSeconds { get; init; }

    /// <summary>Seconds of that sum over a tree.</summary>
    public required double TreeSeconds { get; init; }

    /// <summary>Tokens of the rank that has most in a step, beside the mean of the ranks, over the first epoch; null without data.</summary>
    public double? UnevenRows { get; init; }

    /// <summary>Seconds of an optimizer step in one process; null where not measured.</summary>
    public double? StepSecondsAlone { get; init; }

    /// <summary>The shorter of the two sums.</summary>
    public double SumSeconds => Math.Min(RingSeconds, TreeSeconds);

    /// <summary>Seconds of an optimizer step with these ranks: the slowest one's part and the sum; null where not measured.</summary>
    public double? StepSeconds => StepSecondsAlone / Ranks * (UnevenRows ?? 1) + SumSeconds;

    /// <summary>Share of the ranks' time that is work; null where not measured.</summary>
    public double? Efficiency => StepSecondsAlone is { } alone ? Scaling.Efficiency(alone / Ranks, UnevenRows ?? 1, SumSeconds) : null;

    /// <summary>Seconds of a rank's part of a step from which on nine tenths of the time are work, rows of one length taken.</summary>
    public double GoodPartSeconds => SumSeconds * GoodEfficiency / (1 - GoodEfficiency);

    /// <summary>Plans a run of several ranks.</summary>
    /// <param name="options">The run.</param>
    /// <param name="plan">The run's plan in one process.</param>
    /// <param name="dataset">The data, or null.</param>
    /// <param name="ranks">How many ranks.</param>
    /// <param name="linkBytesPerSecond">The link between them.</param>
    /// <exception cref="OptionException">The micro-batches of a step cannot be dealt out evenly.</exception>
    public static RankPlan Of(TrainingOptions options, RunPlan plan, Dataset? dataset, int ranks, double linkBytesPerSecond)
    {
        RequireEven(options, ranks);
        var bytes = plan.TrainableParameters * sizeof(float);
        return new RankPlan
        {
            Ranks = ranks,
            LinkBytesPerSecond = linkBytesPerSecond,
            GradientBytes = bytes,
            RingSeconds = Scaling.RingSeconds(bytes, ranks, linkBytesPerSecond),
            TreeSeconds = Scaling.TreeSeconds(bytes, ranks, linkBytesPerSecond),
            UnevenRows = dataset is null ? null : Uneven(new BatchPlan(dataset.Train, BatchOptions.Of(options)).TokensOf(0), options.GradientAccumulationSteps,
                ranks),
            StepSecondsAlone = plan.StepSeconds,
        };
    }

    /// <summary>Refuses a number of ranks that the micro-batches of a step cannot be dealt out to.</summary>
    /// <exception cref="OptionException">Names numbers that would do.</exception>
    internal static void RequireEven(TrainingOptions options, int ranks)
    {
        var microBatches = options.GradientAccumulationSteps;
        if (microBatches % ranks == 0) return;
        var most = Enumerable.Range(1, Math.Min(ranks, microBatches)).Last(count => microBatches % count == 0);
        throw new OptionException($"--gradient-accumulation-steps {microBatches} (micro-batches of a step) cannot be dealt out to {ranks} ranks evenly: "
            + $"take a multiple of {ranks}, or start {most} {(most == 1 ? "rank" : "ranks")}");
    }

    // In each step all wait for the rank with the most tokens; micro-batch i is rank i modulo n's, as in training.
    private static double Uneven(int[] tokens, int microBatches, int ranks)
    {
        double waited = 0;
        foreach (var step in tokens.Chunk(microBatches))
        {
            var each = new long[ranks];
            for (var micro = 0; micro < step.Length; micro++) each[micro % ranks] += step[micro];
            waited += each.Max();
        }
        return waited * ranks / tokens.Sum(count => (long)count);
    }
}
