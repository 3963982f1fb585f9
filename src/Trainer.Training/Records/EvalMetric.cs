namespace Trainer.Training.Records;

/// <summary>What evaluations are compared by: the held-out loss, or anything that the objective measures. The name says which way is better.</summary>
public static class EvalMetric
{
    /// <summary>The name of the held-out loss.</summary>
    public const string Loss = "loss";

    private static readonly string[] LowerIsBetter = ["kl", "rewards/rejected", "logps/rejected", "frac_reward_zero_std", "completions/clipped_ratio"];

    /// <summary>The name without the prefix that transformers and TRL give it.</summary>
    /// <param name="name">Such as eval_rewards/accuracies.</param>
    public static string Plain(string name) => name.StartsWith("eval_", StringComparison.Ordinal) ? name["eval_".Length..] : name;

    /// <summary>Whether more of it is better.</summary>
    /// <param name="name">The plain name.</param>
    public static bool IsGreaterBetter(string name) => !name.EndsWith(Loss, StringComparison.Ordinal) && !LowerIsBetter.Contains(name);

    /// <summary>Whether a value is better than the best so far.</summary>
    /// <param name="name">The plain name.</param>
    /// <param name="value">The value.</param>
    /// <param name="best">The best so far; null where there is none.</param>
    public static bool IsBetter(string name, double value, double? best) => best is not { } other || (IsGreaterBetter(name) ? value > other : value < other);
}
