using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer eval</c>: loss, perplexity and token counts of a model, with or without adapter.</summary>
internal static class EvalCommand
{
    private static readonly Setting Data = DataSettings.Data with { Help = "File or folder to measure on, or 'demo' (the embedded held-out rows); repeatable.",
        Aliases = [.. DataSettings.Data.Aliases, "eval-data"] };
    private static readonly Setting MaxSamples = DataSettings.MaxSamples with { Help = "Most rows measured of each source, the first ones.",
        Aliases = [.. DataSettings.MaxSamples.Aliases, "max-eval-samples", "limit"] };
    private static readonly Setting PerRow = new("per-row", SettingKind.Flag, "Output", "Tell each row's loss, or with --generate its scores.");
    private static readonly Setting PerToken = new("per-token", SettingKind.Flag, "Output", "Tell each token's loss; position t predicts token t + 1.");

    public static readonly CommandSpec Spec = new("eval",
        "Loss, perplexity and token counts of a model on data, rewards on preference data, or how good its answers are.", Run)
    {
        Group = "Use",
        Positional = "[RUN]",
        PositionalHelp = "A run or adapter folder: base, adapter and template come from it. Else the same as --model.",
        MaxPositionals = 1,
        Settings =
        [
            ModelSettings.Model, ReadingSettings.Adapter, ReadingSettings.Quantize, ModelSettings.DoubleQuant, ReadingSettings.Dtype, ModelSettings.Device,
            CommonSettings.Libtorch, ModelSettings.Threads,
            Data, MaxSamples, DataSettings.MaxSeqLength, DataSettings.OnTooLong, DataSettings.TrainOn, DataSettings.ChatTemplate, DataSettings.ChatTemplateArg,
            DataSettings.Reasoning, DataSettings.AllowDropped, DataSettings.DropEmpty, DataSettings.AllowMissingEos,
            DataSettings.OnBadRow, DataSettings.TruncateAnswers,
            StepSettings.BatchSize with { Group = "Data", Help = "Rows measured at a time; with --generate answers given at a time, 8 where nothing is said." },
            .. EvalObjective.Settings, .. EvalAnswers.Settings, PerRow, PerToken, CommonSettings.Json,
        ],
        Description = "On preference data the run's own objective is measured (--objective sft reads them as text), of the adapter and of the base.",
        Examples = [("trainer eval runs/a --data held-out.jsonl", ""), ("trainer eval --model tiny --data demo", ""),
            ("trainer eval --model tiny --data demo --adapter runs/a --per-row --json", ""),
            ("trainer eval runs/a --data held-out.jsonl --generate --metric exact_match --answer-pattern number --compare",
                "how many answers end with the right number, base beside adapter")],
    };

    private static int Run(Invocation invocation)
    {
        var values = RunFolders.Expand(invocation.Values, invocation.Word);
        var generate = values.Flag(EvalAnswers.Generate) ?? false;
        if (!generate) values = EvalObjective.Expand(values);
        var options = EvalObjective.Settle(values, ReadingSettings.Options(values, SourceReader.Demo.HeldOut, invocation.Terminal));
        if (options.Data.Train.Count == 0 && values.Items(DataSettings.Data).Count == 0) values.Fault("no data; add --data FILE, --data DIR or --data demo");
        var (perRow, perToken) = (values.Flag(PerRow) ?? false, values.Flag(PerToken) ?? false);
        if (!generate) EvalAnswers.RequireUnused(values);
        else if (perToken) values.Fault("--per-token tells losses, and --generate measures none; keep one");
        if (generate && options.Objective != "sft")
            values.Fault($"--generate compares answers to supervised rows, and --objective {options.Objective} measures pairs or labels; keep one");
        if (perToken && options.Objective != "sft")
            values.Fault($"--per-token tells losses of text, and --objective {options.Objective} weighs whole answers; keep one");
        if (perRow && options.Objective == "kto") values.Fault("--per-row: --objective kto weighs the rows of a batch against each other; leave it out");
        values.ThrowIfFaulty();
        ReadingSettings.SayIfTrainedQuantized(invocation, options.AdapterDirectory, options.ModelDirectory);
        if (generate) return EvalAnswers.Run(invocation, values, options, perRow);
        if (options.Objective != "sft") return EvalObjective.Run(invocation, options, perRow);
        using var view = new RunView(invocation, $"eval {options.Model}", null, "", []);
        var result = view.Run(() => Evaluation.Run(options, perRow || perToken, perToken, view.Observers, invocation.Stop.Token));
        var output = invocation.Terminal.Out;
        if (invocation.Json)
        {
            output.WriteLine(JsonSerializer.Serialize(new
            {
                loss = Json.Finite(result.Loss),
                perplexity = Json.Finite(result.Perplexity),
                tokens = result.Tokens,
                trained_tokens = result.TrainedTokens,
                rows = perRow || perToken
                ? result.Rows.Select(row => new { file = row.Source.File, line = row.Source.Line, tokens = row.Tokens, trained_tokens = row.TrainedTokens,
                    loss = Json.Finite(row.Loss), token_losses = row.TokenLosses }) : null,
            }, Json.Compact));
            return ExitCode.Done;
        }
        foreach (var row in result.Rows)
        {
            output.WriteLine($"{row.Source} loss {RunLines.Number(row.Loss, "0.000000")} tokens {row.Tokens} trained {row.TrainedTokens}");
            if (row.TokenLosses is { } losses)
                output.WriteLine("  " + string.Join(' ', losses.Select(loss => loss is null ? "-" : RunLines.Number(loss.Value, "0.0000"))));
        }
        output.WriteLine($"loss {RunLines.Number(result.Loss, "0.000000")} perplexity {RunLines.Number(result.Perplexity, "0.0000")} tokens {result.Tokens}"
            + $" trained {result.TrainedTokens}");
        return ExitCode.Done;
    }
}
