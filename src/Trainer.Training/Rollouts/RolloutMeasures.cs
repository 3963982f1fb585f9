using Trainer.Training.Objectives;

namespace Trainer.Training.Rollouts;

/// <summary>Rewards of the answers of a step: how much better than its group each is, and what is measured of them all, as TRL has both.</summary>
/// <param name="Advantages">One an answer, in the order of the rewards.</param>
/// <param name="Measured">By TRL's names.</param>
internal sealed record RolloutMeasures(float[] Advantages, IReadOnlyDictionary<string, double> Measured)
{
    // TRL's: a group without spread is divided by this alone.
    private const double Least = 1e-4;

    /// <summary>What is measured.</summary>
    /// <param name="options">The run.</param>
    public static IReadOnlyList<string> Names(GrpoOptions options) =>
    [
        "reward", "reward_std", "frac_reward_zero_std",
        .. RewardNames.Of(options.RewardCommands).SelectMany(name => new[] { $"rewards/{name}/mean", $"rewards/{name}/std" }),
        "completions/mean_length", "completions/min_length", "completions/max_length", "completions/clipped_ratio", "completions/mean_terminated_length",
    ];

    /// <summary>Weighs the answers of a step, group by group.</summary>
    /// <param name="options">The run.</param>
    /// <param name="rewards">Reward of each answer by each program; null where a program has nothing to say.</param>
    /// <param name="lengths">Tokens of each answer.</param>
    /// <param name="truncated">Whether its length ended it.</param>
    public static RolloutMeasures Of(GrpoOptions options, IReadOnlyList<double?[]> rewards, IReadOnlyList<int> lengths, IReadOnlyList<bool> truncated)
    {
        var (groups, names) = (options.NumGenerations, RewardNames.Of(options.RewardCommands));
        double[] totals = [.. rewards.Select(each => each.Select((reward, program) =>
            (options.RewardWeights.Count > 0 ? options.RewardWeights[program] : 1) * (reward ?? 0)).Sum())];
        var byGroup = totals.Chunk(groups).ToList();
        var deviations = byGroup.Select(Deviation).ToList();
        var ofAll = Deviation(totals);
        var advantages = new float[totals.Length];
        for (var i = 0; i < totals.Length; i++)
        {
            var above = totals[i] - byGroup[i / groups].Average();
            advantages[i] = (float)(options.ScaleRewards switch
            {
                "group" => above / (deviations[i / groups] + Least),
                "batch" => above / (ofAll + Least),
                _ => above,
            });
        }
        var ended = lengths.Where((_, i) => !truncated[i]).ToList();
        var measured = new Dictionary<string, double>
        {
            ["reward"] = totals.Average(),
            ["reward_std"] = options.ScaleRewards == "batch" ? ofAll : deviations.Average(),
            ["frac_reward_zero_std"] = deviations.Average(deviation => deviation < 1e-8 ? 1.0 : 0),
            ["completions/mean_length"] = lengths.Average(),
            ["completions/min_length"] = lengths.Min(),
            ["completions/max_length"] = lengths.Max(),
            ["completions/clipped_ratio"] = truncated.Average(isCut => isCut ? 1.0 : 0),
            ["completions/mean_terminated_length"] = ended.Count == 0 ? 0 : ended.Average(),
        };
        for (var program = 0; program < names.Count; program++)
        {
            double[] said = [.. rewards.Select(each => each[program]).OfType<double>()];
            if (said.Length == 0) continue;
            measured[$"rewards/{names[program]}/mean"] = said.Average();
            measured[$"rewards/{names[program]}/std"] = Deviation(said);
        }
        return new RolloutMeasures(advantages, measured);
    }

    // Of a sample, as torch has it; of one number 0.
    private static double Deviation(IReadOnlyList<double> values)
    {
        if (values.Count < 2) return 0;
        var mean = values.Average();
        return Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1));
    }
}
