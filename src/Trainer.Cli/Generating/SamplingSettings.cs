using Trainer.Engine.Generation;
using Trainer.Training.Options;

namespace Trainer.Cli.Generating;

/// <summary>Settings that say how tokens are chosen.</summary>
internal static class SamplingSettings
{
    private const string Group = "Sampling";

    /// <summary>Answers that are given at a time where nothing is said: weights are read once for all of them.</summary>
    public const int AtOnce = 8;

    public static readonly Setting MaxTokens = new("max-tokens", SettingKind.Integer, Group,
        "Tokens to make at most.") { Short = "-n", Value = "N", Minimum = 1, Default = "256", Aliases = ["max-new-tokens"] };
    public static readonly Setting Temperature = new("temperature", SettingKind.Number, Group,
        "0 takes the likeliest token; higher is freer.") { Value = "X", Minimum = 0, Maximum = 100, Default = "0", Aliases = ["temp"] };
    public static readonly Setting TopK = new("top-k", SettingKind.Integer, Group,
        "Choose among the k likeliest tokens; 0 is off.") { Value = "K", Minimum = 0, Default = "0" };
    public static readonly Setting TopP = new("top-p", SettingKind.Number, Group,
        "Choose among the likeliest tokens that together have this probability.") { Value = "P", Minimum = 0, AboveMinimum = true, Maximum = 1, Default = "1" };
    public static readonly Setting MinP = new("min-p", SettingKind.Number, Group,
        "Leave out tokens below this share of the likeliest one's probability.") { Value = "P", Minimum = 0, Maximum = 1, BelowMaximum = true, Default = "0" };
    public static readonly Setting Penalty = new("repetition-penalty", SettingKind.Number, Group,
        "Above 1 makes tokens seen already less likely.") { Value = "X", Minimum = 0, AboveMinimum = true, Maximum = 100, Default = "1" };
    public static readonly Setting Seed = StepSettings.Seed with { Group = Group, Help = "Seed of the draws.", InRecipe = false };
    public static readonly Setting BatchSize = StepSettings.BatchSize with { Group = Group,
        Help = "Answers given at a time: weights are read once for all of them.", Default = "8", Minimum = 1, Maximum = 4096, InRecipe = false };
    public static readonly Setting Stop = new("stop", SettingKind.Text, Group, "End before this text; repeatable.") { Value = "TEXT" };

    public static readonly IReadOnlyList<Setting> All = [MaxTokens, Temperature, TopK, TopP, MinP, Penalty, Seed, Stop];

    public static SamplingOptions Read(SettingValues values)
    {
        var defaults = new SamplingOptions();
        var options = new SamplingOptions
        {
            MaxTokens = values.Integer(MaxTokens) ?? defaults.MaxTokens,
            Temperature = values.Number(Temperature) ?? 0,
            TopK = values.Integer(TopK) ?? defaults.TopK,
            TopP = values.Number(TopP) ?? defaults.TopP,
            MinP = values.Number(MinP) ?? defaults.MinP,
            RepetitionPenalty = values.Number(Penalty) ?? defaults.RepetitionPenalty,
            Seed = values.Integer(Seed) ?? defaults.Seed,
        };
        if (options.Temperature == 0)
            foreach (var setting in new[] { TopK, TopP, MinP, Seed }.Where(values.Has))
                values.Fault($"{values.Origin(setting)} has a meaning with --temperature above 0 alone; add --temperature 0.7 or drop it");
        return options;
    }

    public static IReadOnlyList<string> Stops(SettingValues values) => [.. values.Items(Stop).Select(item => item.Text).Where(text => text.Length > 0)];
}
