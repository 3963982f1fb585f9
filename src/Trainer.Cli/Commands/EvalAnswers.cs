using System.Globalization;
using System.Text;
using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Generating;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Data.Answers;
using Trainer.Data.Prompts;
using Trainer.Engine.Generation;
using Trainer.Training;
using Trainer.Training.Answers;
using Trainer.Training.Objectives;
using Trainer.Training.Options;
using Trainer.Training.Rollouts;

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

    private static readonly Setting Reward = GrpoSettings.RewardCommand with { Group = Group, DefaultNote = null,
        Help = "Program that rewards the answers, in place of a comparison with the data's: it reads a JSON object a line (completion, prompt, row) and "
        + "writes a number for each. Again for more programs." };
    private static readonly Setting RewardTimeout = GrpoSettings.RewardTimeout with { Group = Group };

    public static readonly IReadOnlyList<Setting> Settings = [Generate, Metric, Answer, Pattern, Reward, RewardTimeout, MaxTokens, Compare, Output];

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
        List<string> commands = [.. values.Items(Reward).Select(item => item.Text)];
        foreach (var setting in new[] { Metric, Answer, Pattern }.Where(setting => commands.Count > 0 && values.Has(setting)))
            values.Fault($"{values.Origin(setting)} compares answers with the data's, and --reward-command has programs judge them; keep one");
        if (commands.Count == 0 && values.Has(RewardTimeout)) values.Fault($"{values.Origin(RewardTimeout)} has a meaning with --reward-command alone");
        var patience = values.Duration(RewardTimeout) ?? new GrpoOptions().RewardTimeout;
        values.ThrowIfFaulty();
        var judge = new AnswerJudge(metrics.Count > 0 ? metrics : ["exact_match"], pattern);
        using var programs = commands.Count == 0 ? null
            : new AnswerRewards(commands, patience, text => { if (!invocation.Quiet) invocation.Terminal.Error.WriteLine(text); });
        invocation.Stop.Watch("");
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet || !invocation.Terminal.IsLive);
        using var speaker = Speaker.Load(options, bar);
        var stop = invocation.Stop.Token;
        var rows = programs is null ? AnswerReader.Read(options.Data, speaker.Text, column, stop) : Prompts(options, speaker, stop);
        if (programs is null) judge.Require(rows);
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
        var columns = programs is null ? null : PromptRows.Read(options.Data, rows.Select(row => row.Source), stop);
        double?[][] Scores(Continuation[] texts) => programs is null
            ? [.. rows.Select((row, index) => judge.Scores(texts[index].Text, row.Reference).Select(score => (double?)score).ToArray())]
            : programs.Of([.. rows.Select((row, index) => new RewardedAnswer(row.Source, columns![row.Source],
                speaker.Tokenizer.Decode(row.Prompt, skipSpecialTokens: false), texts[index].Text, texts[index].Tokens,
                texts[index].FinishReason == "length"))], stop.ThrowIfCancellationRequested);
        var (scores, bare) = (Scores(said), before is null ? null : Scores(before));
        List<Answered> answered = [.. rows.Select((row, index) => new Answered(row, said[index], scores[index], before?[index], bare?[index]))];
        var how = new Judging(programs?.Names ?? judge.Metrics, programs is null ? judge : null);
        if (output is not null)
            AtomicFile.WriteText(output, string.Concat(answered.Select(row => JsonSerializer.Serialize(Row(row, how), Json.Compact) + "\n")));
        Tell(invocation, how, answered, perRow);
        return ExitCode.Done;
    }

    // The rows as a run on rewards asks them: an answer at the end of a conversation is left out.
    private static List<AnswerRow> Prompts(TrainingOptions options, Speaker speaker, CancellationToken stop)
    {
        using var data = DatasetBuilder.Build(options.Data with { Purpose = RowPurpose.Prompts }, speaker.Text, cancellation: stop);
        return [.. Enumerable.Range(0, data.Train.Count).Select(row => new AnswerRow(data.Train.Source(row), data.Train[row].InputIds, ""))];
    }

    private static void RequireRoom(IReadOnlyList<AnswerRow> rows, Speaker speaker)
    {
        foreach (var row in rows)
            if (row.Prompt.Length >= speaker.Model.Config.Positions)
                throw new CommandFailedException(ExitCode.BadData,
                    $"the prompt of {row.Source} has {row.Prompt.Length} tokens and the model {speaker.Model.Config.Positions} positions; leave the row out");
    }

    private static void Tell(Invocation invocation, Judging how, List<Answered> rows, bool perRow)
    {
        var (means, before) = (Means(how, rows, row => row.Scores), rows[0].BaseScores is null ? null : Means(how, rows, row => row.BaseScores!));
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
                rows = perRow ? rows.Select(row => Row(row, how)) : null,
            }, Json.Compact));
            return;
        }
        if (perRow)
            foreach (var row in rows)
                output.WriteLine($"{row.Row.Source} {Words(Named(how, row.Scores))}"
                    + $"{(row.BaseScores is { } scores ? $", base {Words(Named(how, scores))}" : "")}");
        output.WriteLine($"{Words(means)} of {rows.Count} answers");
        if (before is not null) output.WriteLine($"base {Words(before)}");
        var cut = rows.Count(row => row.Said.FinishReason == "length");
        if (cut > 0 && !invocation.Quiet) invocation.Terminal.Error.WriteLine($"note: {cut} of {rows.Count} answers were cut at --max-tokens");
    }

    // A mean is over the answers of which there is something to say.
    private static Dictionary<string, double?> Means(Judging how, List<Answered> rows, Func<Answered, double?[]> scores) =>
        Named(how, [.. Enumerable.Range(0, how.Names.Count).Select(name => rows.Select(row => scores(row)[name]).Average())]);

    private static Dictionary<string, double?> Named(Judging how, double?[] scores)
        => how.Names.Zip(scores).ToDictionary(pair => pair.First, pair => pair.Second);

    private static string Words(Dictionary<string, double?> scores)
        => string.Join(" ", scores.Select(pair => $"{pair.Key} {pair.Value?.ToString("0.0000", CultureInfo.InvariantCulture) ?? "-"}"));

    private static object Row(Answered row, Judging how) => new
    {
        file = row.Row.Source.File,
        line = row.Row.Source.Line,
        reference = how.Judge is null ? null : row.Row.Reference,
        text = row.Said.Text,
        compared = how.Judge?.Part(row.Said.Text),
        finish_reason = row.Said.FinishReason,
        metrics = Named(how, row.Scores),
        base_text = row.Base?.Text,
        base_metrics = row.BaseScores is { } scores ? Named(how, scores) : null,
    };

    /// <summary>By what answers are judged: names, and who compares where nobody rewards.</summary>
    private sealed record Judging(IReadOnlyList<string> Names, AnswerJudge? Judge);

    private sealed record Answered(AnswerRow Row, Continuation Said, double?[] Scores, Continuation? Base, double?[]? BaseScores);
}
