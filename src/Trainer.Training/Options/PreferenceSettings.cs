using Trainer.Training.Objectives;

namespace Trainer.Training.Options;

/// <summary>Settings that say what is minimised, and how answers are compared.</summary>
public static class PreferenceSettings
{
#pragma warning disable CS1591 // the help text of each row is its documentation
    private const string Group = "Objective";

    public static readonly Setting Objective = Setting.Of(o => o.Objective, "objective", Group,
        "What is learnt: text by heart (sft), or from pairs (dpo, orpo, simpo) or labels (kto) which answers are wanted, or from "
        + "rewards of its own answers (grpo).") with
    { Kind = SettingKind.Choice, Value = "NAME", Choices = [.. ObjectiveTable.Names], Aliases = ["stage", "rl"] };

    public static readonly Setting LossType = Setting.Of(o => o.Preference.LossType, "loss-type", Group,
        $"The loss. For sft {Words("sft")}; for dpo one or several of {Words("dpo")}; for kto {Words("kto")}; for orpo whose form, {Words("orpo")}; "
        + $"for grpo how token losses become one, {Words("grpo")}.") with
    { Value = "NAMES", DefaultNote = "the first", Aliases = ["pref-loss"],
    Reads = (values, setting) => values.List(setting).Select(word => word.ToLowerInvariant().Replace('_', '-')).ToList() };

    public static readonly Setting LossWeights = Setting.Of(o => o.Preference.LossWeights, "loss-weights", Group, "A weight for each of --loss-type.") with
    { Value = "X,...", DefaultNote = "1 each", Writes = For(o => o.Preference.LossWeights, "dpo") };

    public static readonly Setting Beta = Setting.Of(o => o.Preference.Beta, "beta", Group,
        "How strongly answers are pulled apart: scale of the rewards, and of the pull towards the reference. In grpo the weight of that pull alone, 0 unless "
        + "given.") with
    { Value = "X", Minimum = 0, Aliases = ["pref-beta", "dpo-beta"], Writes = For(o => o.Preference.Beta, "dpo", "kto", "orpo", "simpo", "grpo") };

    public static readonly Setting Reference = Setting.Of(o => o.Preference.Reference, "reference", Group,
        "What dpo, kto and grpo measure against: the base, a frozen copy of the adapter that --adapter continues, or none.") with
    { Kind = SettingKind.Choice, Value = "MODEL", Choices = ["base", "adapter", "none"], DefaultNote = "adapter where one is continued, else base" };

    public static readonly Setting PrecomputeReference = Setting.Of(o => o.Preference.PrecomputeReference, "precompute-reference", Group,
        "Ask the reference about every row once and keep the answers beside the tokenized data: a step then needs no second pass.") with
    { Aliases = ["precompute-ref-log-probs"], Writes = For(o => o.Preference.PrecomputeReference, "dpo", "kto") };

    public static readonly Setting LabelSmoothing = Setting.Of(o => o.LabelSmoothing, "label-smoothing", Group,
        "Share of the labels taken for wrong: in sft, in dpo's conservative, robust and exo-pair, and in simpo.") with
    { Value = "X", Minimum = 0, Maximum = 1, BelowMaximum = true, Aliases = ["label-smoothing-factor", "dpo-label-smoothing"] };

    public static readonly Setting SimpoGamma = Setting.Of(o => o.Preference.SimpoGamma, "simpo-gamma", Group, "SimPO's target margin.") with
    { Value = "X", Minimum = 0, Writes = For(o => o.Preference.SimpoGamma, "simpo") };

    public static readonly Setting LdAlpha = Setting.Of(o => o.Preference.LdAlpha, "ld-alpha", Group,
        "In dpo, what tokens beyond the shorter answer's length count.") with
    { Value = "X", Minimum = 0, Maximum = 1, DefaultNote = "1", Writes = For(o => o.Preference.LdAlpha, "dpo") };

    public static readonly Setting PrefFtx = Setting.Of(o => o.Preference.PrefFtx, "pref-ftx", Group,
        "Weight of the wanted answers' cross entropy beside the loss of dpo, simpo and kto: a mean of row means.") with
    { Value = "X", Minimum = 0, Writes = For(o => o.Preference.PrefFtx, "dpo", "kto", "simpo") };

    public static readonly Setting NllWeight = Setting.Of(o => o.Preference.NllWeight, "nll-weight", Group,
        "As --pref-ftx for dpo and simpo, but a mean over the micro-batch's tokens.") with
    { Value = "X", Minimum = 0, Aliases = ["cpo-alpha", "rpo-alpha"], Writes = For(o => o.Preference.NllWeight, "dpo", "simpo") };

    public static readonly Setting DesirableWeight = Setting.Of(o => o.Preference.DesirableWeight, "desirable-weight", Group,
        "KTO's weight of wanted answers.") with
    { Value = "X", Minimum = 0, Aliases = ["kto-chosen-weight"], Writes = For(o => o.Preference.DesirableWeight, "kto") };

    public static readonly Setting UndesirableWeight = Setting.Of(o => o.Preference.UndesirableWeight, "undesirable-weight", Group,
        "KTO's weight of unwanted answers.") with
    { Value = "X", Minimum = 0, Aliases = ["kto-rejected-weight"], Writes = For(o => o.Preference.UndesirableWeight, "kto") };

    /// <summary>The objectives that read a setting; those not listed here are looked at with their values.</summary>
    public static IReadOnlyList<(Setting Setting, string[] Objectives)> ReadBy { get; } =
    [
        (LossWeights, ["dpo"]), (Beta, ["dpo", "kto", "orpo", "simpo", "grpo"]), (SimpoGamma, ["simpo"]), (LdAlpha, ["dpo"]),
        (PrefFtx, ["dpo", "kto", "simpo"]),
        (NllWeight, ["dpo", "simpo"]), (DesirableWeight, ["kto"]), (UndesirableWeight, ["kto"]),
        .. GrpoSettings.All.Select(setting => (setting, new[] { "grpo" })),
    ];

    // A recipe holds what the objective reads.
    private static Func<TrainingOptions, object?> For(Func<TrainingOptions, object?> value, params string[] objectives) =>
        options => objectives.Contains(options.Objective) ? value(options) : null;

    private static string Words(string objective) => string.Join(", ", ObjectiveTable.LossTypes(objective));
}
