using Trainer.Training.Objectives;

namespace Trainer.Training.Options;

/// <summary>Settings of runs that learn from rewards of answers which the model makes up.</summary>
public static class GrpoSettings
{
#pragma warning disable CS1591 // the help text of each row is its documentation
    private const string Group = "Rewards (grpo)";

    // Not in recipes: one from elsewhere must start nothing.
    public static readonly Setting RewardCommand = Setting.Of(o => o.Grpo.RewardCommands, "reward-command", Group,
        "Program that rewards answers, a line for the shell: it reads a JSON object a line (completion, prompt, row) and writes a number for each. Again for "
        + "more programs.") with
    {
        Value = "COMMAND", InRecipe = false, DefaultNote = "needed by grpo",
        Reads = (values, setting) => values.Items(setting).Select(item => item.Text).ToList(),
    };

    public static readonly Setting RewardWeights = Row(Setting.Of(o => o.Grpo.RewardWeights, "reward-weights", Group, "A weight for each --reward-command.")
        with
    { Value = "X,...", DefaultNote = "1 each" });

    public static readonly Setting RewardTimeout = Row(Setting.Of(o => o.Grpo.RewardTimeout, "reward-timeout", Group,
        "How long a program may take for an answer.") with
    { Value = "TIME", Default = "60s" });

    public static readonly Setting NumGenerations = Row(Setting.Of(o => o.Grpo.NumGenerations, "num-generations", Group,
        "Answers to each prompt. --batch-size counts answers: a step takes batch size x accumulation / this prompts.") with
    { Value = "N", Minimum = 2, Maximum = 4096 });

    public static readonly Setting MaxCompletionLength = Row(Setting.Of(o => o.Grpo.MaxCompletionLength, "max-completion-length", Group,
        "Most tokens of an answer.") with
    { Value = "N", Minimum = 1 });

    public static readonly Setting Temperature = Row(Setting.Of(o => o.Grpo.Temperature, "temperature", Group,
        "Divisor of logits while answers are made up and learnt from.") with
    { Value = "X", Minimum = 0, AboveMinimum = true });

    public static readonly Setting TopP = Row(Setting.Of(o => o.Grpo.TopP, "top-p", Group, "Draw from the likeliest tokens up to this probability.") with
    { Value = "X", Minimum = 0, AboveMinimum = true, Maximum = 1 });

    public static readonly Setting TopK = Row(Setting.Of(o => o.Grpo.TopK, "top-k", Group, "Draw from so many of the likeliest tokens; 0 is all.") with
    { Value = "N", Minimum = 0 });

    public static readonly Setting MinP = Row(Setting.Of(o => o.Grpo.MinP, "min-p", Group,
        "Draw tokens with at least this share of the likeliest one's probability.") with
    { Value = "X", Minimum = 0, Maximum = 1, BelowMaximum = true });

    public static readonly Setting RepetitionPenalty = Row(Setting.Of(o => o.Grpo.RepetitionPenalty, "repetition-penalty", Group,
        "Penalty of tokens already seen; 1 is none.") with
    { Value = "X", Minimum = 0, AboveMinimum = true });

    public static readonly Setting NumIterations = Row(Setting.Of(o => o.Grpo.NumIterations, "num-iterations", Group,
        "Optimizer steps made with the same answers.") with
    { Value = "N", Minimum = 1, Maximum = 1024 });

    public static readonly Setting Epsilon = Row(Setting.Of(o => o.Grpo.Epsilon, "epsilon", Group,
        "How far the ratio of probabilities may leave 1 and still count.") with
    { Value = "X", Minimum = 0 });

    public static readonly Setting EpsilonHigh = Row(Setting.Of(o => o.Grpo.EpsilonHigh, "epsilon-high", Group, "The same upwards alone.") with
    { Value = "X", Minimum = 0, DefaultNote = "--epsilon" });

    public static readonly Setting ImportanceLevel = Row(Setting.Of(o => o.Grpo.ImportanceLevel, "importance-sampling-level", Group,
        "What the ratio is of: each token, or the whole answer (GSPO).") with
    { Kind = SettingKind.Choice, Value = "LEVEL", Choices = ["token", "sequence"] });

    public static readonly Setting ScaleRewards = Row(Setting.Of(o => o.Grpo.ScaleRewards, "scale-rewards", Group,
        "What advantages are divided by: the standard deviation of the group, of the batch, or none.") with
    {
        Kind = SettingKind.Choice, Value = "BY", Choices = ["group", "batch", "none"],
        Synonyms = new Dictionary<string, string> { ["true"] = "group", ["false"] = "none" },
    });

    public static readonly Setting MaskTruncated = Row(Setting.Of(o => o.Grpo.MaskTruncated, "mask-truncated-completions", Group,
        "Leave answers that were cut by their length out of the loss."));

    /// <summary>All of them; grpo alone reads them.</summary>
    public static IReadOnlyList<Setting> All { get; } =
    [
        RewardCommand, RewardWeights, RewardTimeout, NumGenerations, MaxCompletionLength, Temperature, TopP, TopK, MinP, RepetitionPenalty, NumIterations,
        Epsilon, EpsilonHigh, ImportanceLevel, ScaleRewards, MaskTruncated,
    ];

    // A recipe holds what the objective reads.
    private static Setting Row(Setting setting) => setting with
    { Writes = options => options.Objective != "grpo" ? null : setting.Writes is { } writes ? writes(options) : setting.Property!.Get(options) };
}
