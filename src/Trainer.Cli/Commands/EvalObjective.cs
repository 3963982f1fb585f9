using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Cli.Reports;
using Trainer.Training;
using Trainer.Training.Objectives;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer eval --objective dpo</c>: loss, rewards, accuracy and margin on preference data, of the adapter and of the base.</summary>
internal static class EvalObjective
{
    private static readonly Setting Objective =
        PreferenceSettings.Objective with { Choices = [.. ObjectiveTable.Names.Where(name => name != "grpo")],
            Help = "What the rows are measured by: text (sft), pairs (dpo, orpo, simpo) or labels (kto).",
        DefaultNote = "the run's, else sft" };
    private static readonly Setting Reference = PreferenceSettings.Reference with { Choices = ["base", "none"], Help = "What dpo and kto measure against.",
        DefaultNote = "base where there is an adapter" };

    public static readonly IReadOnlyList<Setting> Settings =
    [
        Objective, PreferenceSettings.LossType, PreferenceSettings.LossWeights, PreferenceSettings.Beta, Reference, PreferenceSettings.LabelSmoothing,
        PreferenceSettings.SimpoGamma,
        PreferenceSettings.LdAlpha, PreferenceSettings.PrefFtx, PreferenceSettings.NllWeight, PreferenceSettings.DesirableWeight,
        PreferenceSettings.UndesirableWeight,
    ];

    /// <summary>The values with what the run of the adapter was trained by, where nothing else is said.</summary>
    public static SettingValues Expand(SettingValues values)
    {
        if (values.Text(ReadingSettings.Adapter) is not { } folder) return values;
        var recipe = RunReader.ReadSettings(Path.Combine(RunFolders.RunOf(folder), RunFolders.Recipe)).ToDictionary(pair => pair[0], pair => pair[1],
            StringComparer.Ordinal);
        if (recipe.GetValueOrDefault(Objective.Key) is not { } trained || trained is "sft" or "grpo" || (values.Word(Objective) is { } said && said != trained))
            return values;
        foreach (var setting in Settings.Where(setting => setting != Reference && !values.Has(setting)))
            if (recipe.GetValueOrDefault(setting.Key) is { Length: > 0 } word) values = values.With(setting, word);
        return values;
    }

    /// <summary>The options with the reference that an evaluation has; faults are told to the values.</summary>
    public static TrainingOptions Settle(SettingValues values, TrainingOptions options)
    {
        if (options.Objective == "sft")
        {
            foreach (var setting in Settings.Skip(1).Where(values.Has))
                values.Fault($"{values.Origin(setting)} has a meaning with --objective dpo, kto, orpo or simpo alone; add it, or drop this");
            return options;
        }
        if (options.Preference.Reference is null && ObjectiveTable.HasReference(options.Objective))
            options = options with { Preference = options.Preference with { Reference = options.AdapterDirectory is null ? "none" : "base" } };
        options = options with { BatchSize = Math.Max(options.BatchSize, ObjectiveTable.LeastRows(options)) };
        Contradictions.FindUnread(values, options);
        return options;
    }

    public static int Run(Invocation invocation, TrainingOptions options, bool perRow)
    {
        using var view = new RunView(invocation, $"eval {options.Model}", null, "", []);
        var result = view.Run(() => PreferenceEvaluation.Run(options, perRow, view.Observers, invocation.Stop.Token));
        var output = invocation.Terminal.Out;
        if (invocation.Json)
        {
            output.WriteLine(JsonSerializer.Serialize(new
            {
                objective = options.Objective,
                loss = Json.Finite(result.Loss),
                metrics = Finite(result.Metrics),
                tokens = result.Tokens,
                trained_tokens = result.TrainedTokens,
                @base = result.Base is { } without ? new { loss = Json.Finite(without.Loss), metrics = Finite(without.Metrics) } : null,
                rows = perRow
                ? result.Rows.Select(row => new { file = row.Source.File, line = row.Source.Line, loss = Json.Finite(row.Loss), metrics = Finite(row.Metrics) })
                : null,
            }, Json.Compact));
            return ExitCode.Done;
        }
        foreach (var row in result.Rows) output.WriteLine($"{row.Source} {Line(row.Loss, row.Metrics)}");
        output.WriteLine($"{(result.Base is null ? "" : "adapter: ")}{Line(result.Loss, result.Metrics)} tokens {result.Tokens} trained "
            + $"{result.TrainedTokens}");
        if (result.Base is { } bare) output.WriteLine($"base: {Line(bare.Loss, bare.Metrics)}");
        return ExitCode.Done;
    }

    private static string Line(double loss, IReadOnlyDictionary<string, double> metrics) =>
        $"loss {RunLines.Number(loss, "0.000000")} {string.Join(' ', metrics.Select(metric => $"{metric.Key} {RunLines.Number(metric.Value, "0.0000")}"))}";

    private static Dictionary<string, double?> Finite(IReadOnlyDictionary<string, double> metrics)
        => metrics.ToDictionary(metric => metric.Key, metric => Json.Finite(metric.Value));
}
