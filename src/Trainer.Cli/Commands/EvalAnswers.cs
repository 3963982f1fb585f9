using System.Globalization;
using System.Text;
using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Generating;
using Trainer.Cli.Rendering;
using Trainer.Data.Answers;
using Trainer.Engine.Generation;
using Trainer.Training;
using Trainer.Training.Answers;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer eval --generate</c>: the model answers each row, and the answers are compared with those of the data.</summary>
internal static class EvalAnswers
{
    private const string Group = "Answers";

    public static readonly Setting Generate = new("generate", SettingKind.Flag, Group,
        "Let the model answer each row, and compare its answers with the data's; no loss is measured.") { Aliases = ["predict-with-generate"] };

    private static readonly Setting Metric = RunSettings.EvalMetrics with { Name = "metric", Group = Group,
        Help = $"How answers are compared: {string.Join(", ", AnswerMetrics.Names)}.", DefaultNote = "exact_match", Aliases = ["metrics", "eval-metrics"] };
    private static readonly Setting Answer = new("answer", SettingKind.Text, Group,
        "Column that holds the wanted answer.") { Value = "COLUMN", DefaultNote = "the row's last turn, completion or output", Aliases = ["answer-column"] };
    private static readonly Setting Pattern = RunSettings.AnswerPattern with { Group = Group };
    private static readonly Setting MaxTokens = SamplingSettings.MaxTokens with { Group = Group };
    private static readonly Setting Compare = new("compare", SettingKind.Flag, Group, "Let the base answer too, beside the adapter.");
    private static readonly Setting Output = new("output", SettingKind.Text, Group,
        "Write each row's answer and scores to this file of JSON lines.") { Short = "-o", Value = "FILE" };

    public static readonly IReadOnlyList<Setting> Settings = [Generate, Metric, Answer, Pattern, MaxTokens, Compare, Output];

    /// <summary>What has a meaning with --generate alone.</summary>
    public static void RequireUnused(SettingValues values)
    {
        foreach (var setting in Settings.Skip(1).Where(values.Has))
            values.Fault($"{values.Origin(setting)} has a meaning with --generate alone; add it, or drop this");
    }

    public static int Run(Invocation invocation, SettingValues values, TrainingOptions options, bool perRow)
    {
        var metrics = RunSettings.ReadMetrics(values, Metric);
        var (column, pattern) = (values.Text(Answer), RunSettings.ReadPattern(values, Pattern));
        var (most, compare, output) = (values.Integer(MaxTokens) ?? 256, values.Flag(Compare) ?? false, values.Text(Output));
        if (compare && options.AdapterDirectory is null) values.Fault("--compare needs an adapter to compare the base with; add --adapter DIR");
        if (output is not null && Path.GetDirectoryName(Path.GetFullPath(output)) is { } folder && !Directory.Exists(folder))
            values.Fault($"{values.Origin(Output)} '{output}': there is no folder '{folder}'");
        values.ThrowIfFaulty();
        var judge = new AnswerJudge(metrics.Count > 0 ? metrics : ["exact_match"], pattern);
        invocation.Stop.Watch("");
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet || !invocation.Terminal.IsLive);
        using var speaker = Speaker.Load(options, bar);
        var rows = AnswerReader.Read(options.Data, speaker.Text, column, invocation.Stop.Token);
        judge.Require(rows);
        RequireRoom(rows, speaker);
        var size = values.Integer(StepSettings.BatchSize);
        Continuation[] Speak(bool withAdapter, string task)
        {
            speaker.Model.AdaptersEnabled = withAdapter;
            var (said, done) = (new Continuation[rows.Count], 0);
            bar.Show(task, 0, rows.Count);
            speaker.ContinueAll([.. rows.Select(row => row.Prompt)], new SamplingOptions { MaxTokens = most }, [], size, (index, text) =>
            {
                said[index] = text;
                bar.Show(task, ++done, rows.Count);
            }, invocation.Stop.Token);
            return said;
        }
        var said = Speak(withAdapter: true, "answering");
        var before = compare ? Speak(withAdapter: false, "base answering") : null;
        bar.Finish();
        List<Answered> answered =
        [
            .. rows.Select((row, index) => new Answered(
                row, said[index], judge.Scores(said[index].Text, row.Reference), before?[index],
                before is null ? null : judge.Scores(before[index].Text, row.Reference))),
        ];
        if (output is not null)
            AtomicFile.WriteText(output, string.Concat(answered.Select(row => JsonSerializer.Serialize(Row(row, judge), Json.Compact) + "\n")));
        Tell(invocation, judge, answered, perRow);
        return ExitCode.Done;
    }

    private static void RequireRoom(IReadOnlyList<AnswerRow> rows, Speaker speaker)
    {
        foreach (var row in rows)
            if (row.Prompt.Length >= speaker.Model.Config.Positions)
                throw new CommandFailedException(ExitCode.BadData,
                    $"the prompt of {row.Source} has {row.Prompt.Length} tokens and the model {speaker.Model.Config.Positions} positions; leave the row out");
    }

    private static void Tell(Invocation invocation, AnswerJudge judge, List<Answered> rows, bool perRow)
    {
        var (means, before) = (Means(judge, rows, row => row.Scores), rows[0].BaseScores is null ? null : Means(judge, rows, row => row.BaseScores!));
        var output = invocation.Terminal.Out;
        if (invocation.Json)
        {
            output.WriteLine(JsonSerializer.Serialize(new
            {
                answered = rows.Count,
                metrics = means,
                base_metrics = before,
                cut_answers = rows.Count(row => row.Said.FinishReason == "length"),
                tokens = rows.Sum(row => (long)row.Said.Tokens),
                rows = perRow ? rows.Select(row => Row(row, judge)) : null,
            }, Json.Compact));
            return;
        }
        if (perRow)
            foreach (var row in rows)
                output.WriteLine($"{row.Row.Source} {Words(Named(judge, row.Scores))}"
                    + $"{(row.BaseScores is { } scores ? $", base {Words(Named(judge, scores))}" : "")}");
        output.WriteLine($"{Words(means)} of {rows.Count} answers");
        if (before is not null) output.WriteLine($"base {Words(before)}");
        var cut = rows.Count(row => row.Said.FinishReason == "length");
        if (cut > 0 && !invocation.Quiet) invocation.Terminal.Error.WriteLine($"note: {cut} of {rows.Count} answers were cut at --max-tokens");
    }

    private static Dictionary<string, double> Means(AnswerJudge judge, List<Answered> rows, Func<Answered, double[]> scores) =>
        Named(judge, [.. Enumerable.Range(0, judge.Metrics.Count).Select(metric => rows.Average(row => scores(row)[metric]))]);

    private static Dictionary<string, double> Named(AnswerJudge judge, double[] scores)
        => judge.Metrics.Zip(scores).ToDictionary(pair => pair.First, pair => pair.Second);

    private static string Words(Dictionary<string, double> scores)
        => string.Join(" ", scores.Select(pair => $"{pair.Key} {pair.Value.ToString("0.0000", CultureInfo.InvariantCulture)}"));

    private static object Row(Answered row, AnswerJudge judge) => new
    {
        file = row.Row.Source.File,
        line = row.Row.Source.Line,
        reference = row.Row.Reference,
        text = row.Said.Text,
        compared = judge.Part(row.Said.Text),
        finish_reason = row.Said.FinishReason,
        metrics = Named(judge, row.Scores),
        base_text = row.Base?.Text,
        base_metrics = row.BaseScores is { } scores ? Named(judge, scores) : null,
    };

    private sealed record Answered(AnswerRow Row, Continuation Said, double[] Scores, Continuation? Base, double[]? BaseScores);
}
