using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Data.Chat;
using Trainer.Models.Families;
using Trainer.Training.Objectives;
using Trainer.Training.Options;
using Trainer.Training.Plan;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer data show</c> and <c>data check</c>: what training would see.</summary>
internal static class DataCommand
{
    private static readonly Setting Rows = new("rows", SettingKind.Integer, "Output",
        "Rows to show; 0 shows all.") { Short = "-n", Value = "N", Minimum = 0, DefaultNote = "3, or all with --json", Aliases = ["limit"] };

    private static readonly Setting[] Text =
    [
        ModelSettings.Model, TextSource.Tokenizer, DataSettings.Data, DataSettings.MaxSamples, DataSettings.MaxSeqLength, DataSettings.OnTooLong,
        DataSettings.TrainOn, DataSettings.ChatTemplate,
        DataSettings.ChatTemplateArg, DataSettings.Reasoning, DataSettings.AllowDropped,
        DataSettings.DropEmpty, DataSettings.AllowMissingEos, DataSettings.OnBadRow, DataSettings.TruncateAnswers,
        PreferenceSettings.Objective with { Default = null, DefaultNote = "as the columns say",
            Help = "What the rows are for; rows that do not suit it are refused." },
    ];

    public static readonly CommandSpec Spec = new("data", "Look at data as training would see it.", _ => ExitCode.Usage)
    {
        Group = "Data",
        Subcommands =
        [
            new CommandSpec("show", "Rendered text of rows with the trained tokens marked, and their ids.", Show)
            {
                Description = "With --json, an array with an object per row: file, line, kind, text, ids, labels, trained_spans (in Unicode characters); for "
                    + "preference rows also sides, each with its role; for a chat also template and mask, which says how the assistant's words were found: by "
                    + "the template's own generation marks, by incremental rendering, or by a sentinel word.",
                Positional = "[FILE...]",
                PositionalHelp = "Same as --data.",
                MaxPositionals = int.MaxValue,
                Settings = [.. Text, Rows, CommonSettings.Json],
                Examples = [("trainer data show --model tiny --data demo --rows 2", ""), ("trainer data show --tokenizer DIR --data chats.jsonl --json", "")],
            },
            new CommandSpec("check", "Counts, lengths and every refused row with file and line.", Check)
            {
                Description = "Exit code 65 if a run on this data would be refused.",
                Positional = "[FILE...]",
                PositionalHelp = "Same as --data.",
                MaxPositionals = int.MaxValue,
                Settings = [.. Text, DataSettings.EvalData, DataSettings.EvalSplit, DataSettings.MaxEvalSamples, CommonSettings.Json],
                Examples = [("trainer data check --model tiny --data demo", ""),
                    ("trainer data check --model MODEL --data rows.jsonl --max-seq-length 512", "")],
            },
        ],
    };

    private static (DataOptions Options, ModelText Text) Read(Invocation invocation)
    {
        var values = invocation.Values;
        if (invocation.Positionals.Count > 0)
            values = values.Over(new Dictionary<string, SettingValue> { [DataSettings.Data.Key] = new("FILE",
                [.. invocation.Positionals.Select(word => new SettingItem(word))]) }, []);
        var options = TrainingOptionsReader.ReadTrainingData(values, values.Has(ModelSettings.Model) ? TextSource.Folder(values) : null);
        options = options with { Purpose = values.Word(PreferenceSettings.Objective) is { } objective ? ObjectiveTable.Purpose(objective) : RowPurpose.Any };
        if (options.Train.Count == 0 && values.Items(DataSettings.Data).Count == 0) values.Fault(Contradictions.NoData);
        var folder = TextSource.Folder(values);
        int? vocabulary = VocabularyFolder(values) is { } model ? ConfigLoader.Load(model).VocabularySize : null;
        var text = ModelText.Load(folder, options.ChatTemplateFile, vocabulary, variables: options.TemplateVariables);
        if (!invocation.Quiet)
            foreach (var note in text.Notes) invocation.Terminal.Error.WriteLine("note: " + note);
        return (options, text);
    }

    /// <summary>The folder whose config.json says how many tokens and positions there are, or null where a tokenizer alone was named.</summary>
    private static string? VocabularyFolder(SettingValues values)
        => values.Has(ModelSettings.Model) && TextSource.Folder(values) is var folder && File.Exists(Path.Combine(folder, "config.json")) ? folder : null;

    private static int Show(Invocation invocation)
    {
        var (options, text) = Read(invocation);
        var count = invocation.Values.Integer(Rows) ?? (invocation.Json ? 0 : 3);
        invocation.Values.ThrowIfFaulty();
        var notes = new List<string>();
        var rows = DataInspector.Show(options, text, notes, invocation.Stop.Token);
        if (!invocation.Quiet)
            foreach (var note in notes) invocation.Terminal.Error.WriteLine("note: " + note);
        if (count > 0) rows = rows.Take(count);
        return invocation.Json ? ShowJson(invocation, rows) : ShowText(invocation, rows);
    }

    private static int ShowJson(Invocation invocation, IEnumerable<ShownRow> rows)
    {
        var output = invocation.Terminal.Out;
        output.Write("[");
        var separator = "\n";
        foreach (var row in rows)
        {
            output.Write(separator);
            output.Write(JsonSerializer.Serialize(new
            {
                file = row.Source.File,
                line = row.Source.Line,
                row.Kind,
                row.Text,
                row.Ids,
                row.Labels,
                trained_spans = Spans(row),
                sides = row.Sides.Count == 0
                ? null : row.Sides.Select(side => new { role = side.Role.ToString().ToLowerInvariant(), side.Row.Text, side.Row.Ids, side.Row.Labels,
                    trained_spans = Spans(side.Row) }),
                template = row.TemplateSource,
                mask = row.MaskMethod?.ToString().ToLowerInvariant(),
                ignored = row.Ignored.Count > 0 ? row.Ignored : null,
                notes = row.Notes.Count > 0 ? row.Notes : null,
                weight = row.Weight == 1 ? (float?)null : row.Weight,
                fault = row.Fault?.Message,
            }, Json.Compact));
            separator = ",\n";
        }
        output.WriteLine("\n]");
        return ExitCode.Done;
    }

    private static IEnumerable<int[]> Spans(ShownRow row) => row.TrainedSpansInCodePoints.Select(span => new[] { span.Start, span.End });

    private static int ShowText(Invocation invocation, IEnumerable<ShownRow> rows)
    {
        var terminal = invocation.Terminal;
        var (on, off) = terminal.HasColour && terminal.OutIsTerminal ? ("\u001b[32m", "\u001b[0m") : ("[[", "]]");
        foreach (var row in rows)
        {
            terminal.Out.WriteLine($"{row.Source} {row.Kind}: {row.Ids.Count} tokens, {row.TrainedTokens} trained"
                + $"{(row.TemplateSource is null ? "" : $", template {row.TemplateSource}")}{(row.MaskMethod is { } mask ? $", {Found(mask)}" : "")}");
            if (row.Fault is { } fault) terminal.Out.WriteLine($"refused: {fault.Message}");
            if (row.Ignored.Count > 0) terminal.Out.WriteLine($"not used: {string.Join(", ", row.Ignored)}");
            if (row.Notes.Count > 0) terminal.Out.WriteLine($"note: {string.Join("; ", row.Notes)}");
            if (row.Sides.Count == 0) ShowTokens(terminal, row, on, off);
            foreach (var side in row.Sides)
            {
                terminal.Out.WriteLine($"-- {side.Role.ToString().ToLowerInvariant()}: {side.Row.Ids.Count} tokens, {side.Row.TrainedTokens} trained");
                ShowTokens(terminal, side.Row, on, off);
            }
            terminal.Out.WriteLine();
        }
        if (!invocation.Quiet) terminal.Out.WriteLine($"trained text stands between {(on == "[[" ? "[[ and ]]" : "green marks")}");
        return ExitCode.Done;
    }

    private static void ShowTokens(Terminal terminal, ShownRow row, string on, string off)
    {
        terminal.Out.Raw.WriteLine(Marked(row, on, off));
        if (row.Offsets.Count > 0)
            terminal.Out.Raw.WriteLine("pieces " + Runs(row, row.Offsets.Select(span => OneLine(row.Text[span.Start..span.End])),
                terminal.HasUnicode ? "·" : "|", on, off));
        terminal.Out.Raw.WriteLine("ids " + Runs(row, row.Ids.Select(id => $"{id}"), " ", on, off));
    }

    private static string Found(SpanMethod method) => method switch
    {
        SpanMethod.Generation => "answers marked by the template",
        SpanMethod.Incremental => "answers found by incremental rendering",
        SpanMethod.Sentinel => "answers found by a sentinel word",
        _ => "no answers looked for",
    };

    /// <summary>A word per token, each run of trained ones marked.</summary>
    private static string Runs(ShownRow row, IEnumerable<string> words, string between, string on, string off)
    {
        var text = new System.Text.StringBuilder();
        var inside = false;
        var i = 0;
        foreach (var word in words)
        {
            var trained = i < row.Labels.Count && row.Labels[i] >= 0;
            if (inside && !trained) text.Append(off);
            if (i++ > 0) text.Append(between);
            if (trained && !inside) text.Append(on);
            inside = trained;
            text.Append(SafeText.Of(word));
        }
        return (inside ? text.Append(off) : text).ToString();
    }

    private static string OneLine(string text)
        => text.Replace("\n", "\\n", StringComparison.Ordinal).Replace("\r", "\\r", StringComparison.Ordinal).Replace("\t", "\\t", StringComparison.Ordinal);

    private static string Marked(ShownRow row, string on, string off)
    {
        var text = new System.Text.StringBuilder();
        var at = 0;
        foreach (var span in row.TrainedSpans)
        {
            text.Append(SafeText.Of(row.Text[at..span.Start])).Append(on).Append(SafeText.Of(row.Text[span.Start..span.End])).Append(off);
            at = span.End;
        }
        return text.Append(SafeText.Of(row.Text[at..])).ToString();
    }

    private static int Check(Invocation invocation)
    {
        var (options, text) = Read(invocation);
        invocation.Stop.Watch();
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet || !invocation.Terminal.IsLive);
        var report = DataInspector.Check(options, text,
            new Immediate(progress => bar.Show("reading " + Path.GetFileName(progress.File), progress.BytesRead, progress.BytesTotal)), invocation.Stop.Token);
        bar.Finish();
        if (invocation.Json) invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(DataReportText.Object(report), Json.Indented));
        else invocation.Terminal.Out.Write(DataReportText.Write(report, invocation.Terminal));
        var longest = Math.Max(report.Statistics.LongestExample, report.HeldOut?.LongestExample ?? 0);
        if (VocabularyFolder(invocation.Values) is { } model && PositionNote.Of(model, longest) is { } beyond)
            invocation.Terminal.Error.WriteLine("warning: " + beyond);
        if (report.Usable) return ExitCode.Done;
        if (!invocation.Json) invocation.Terminal.Out.Flush();
        var faults = report.FaultCounts.Values.Sum() + report.FileFaults.Count;
        throw new CommandFailedException(ExitCode.BadData,
            $"a run on this data would be refused ({faults} {(faults == 1 ? "fault" : "faults")}); mend the rows, or pass the option each one names");
    }

    /// <summary>Progress told on the thread that makes it; <see cref="Progress{T}"/> would tell it late and out of order.</summary>
    private sealed class Immediate(Action<DataProgress> show) : IProgress<DataProgress>
    {
        public void Report(DataProgress value) => show(value);
    }
}
