using System.Text;
using Trainer.Data;
using Trainer.Training.Options;

namespace Trainer.Cli.Rendering;

/// <summary>A data report for people and for programs.</summary>
internal static class DataReportText
{
    private const int MostFaultsShown = 50;
    private const int PlacesShown = 4;

    public static object Object(DataReport report) => new
    {
        usable = report.Usable,
        rows = report.Statistics.Rows,
        examples = report.Statistics.Examples,
        answers = report.Statistics.Answers.Words().Length == 0 ? null : report.Statistics.Answers,
        tokens = report.Statistics.Tokens,
        trained_tokens = report.Statistics.TrainedTokens,
        trained_share = report.TrainedShare,
        longest = report.Statistics.LongestExample,
        truncated_rows = report.Statistics.TruncatedRows,
        split_rows = report.Statistics.SplitRows,
        duplicates = report.Statistics.Duplicates,
        empty_answers = report.Statistics.EmptyAnswers,
        dropped = report.Statistics.Dropped.ToDictionary(pair => Snake(pair.Key), pair => pair.Value),
        ignored_columns = report.Statistics.IgnoredColumns,
        lengths = report.Statistics.Lengths.Select(bucket => new { from = bucket.From, to = bucket.To, rows = bucket.Rows }),
        files = report.Statistics.Files,
        file_faults = report.FileFaults,
        fault_counts = report.FaultCounts.ToDictionary(pair => Snake(pair.Key), pair => pair.Value),
        notes = report.Statistics.Notes,
        source_notes = report.Notes,
        held_out = report.HeldOut is { } held ? new { rows = held.Rows, examples = held.Examples, tokens = held.Tokens, trained_tokens = held.TrainedTokens,
        longest = held.LongestExample } : null,
        faults = report.Faults.Select(fault => new { file = fault.Source.File, line = fault.Source.Line, column = fault.Column, kind = Snake(fault.Kind),
        reason = fault.Reason, message = fault.Message }),
    };

    public static string Write(DataReport report, Terminal terminal)
    {
        var s = report.Statistics;
        var text = new StringBuilder();
        text.AppendLine($"rows {Quantities.Count(s.Rows)}, examples {Quantities.Count(s.Examples)}, tokens {Quantities.Count(s.Tokens)}, trained "
            + $"{Quantities.Count(s.TrainedTokens)} ({report.TrainedShare * 100:0.#}%), longest {Quantities.Count(s.LongestExample)}");
        if (report.HeldOut is { } held)
            text.AppendLine($"held out: rows {Quantities.Count(held.Rows)}, examples {Quantities.Count(held.Examples)}, tokens {Quantities.Count(held.Tokens)}"
                + $", trained {Quantities.Count(held.TrainedTokens)}, longest {Quantities.Count(held.LongestExample)}");
        if (s.Answers.Words().Length > 0) text.AppendLine($"answers: {s.Answers.Words()}{(s.Answers.Imbalance() is { } imbalance ? $"; {imbalance}" : "")}");
        foreach (var note in report.Notes) text.AppendLine("note: " + note);
        if (s.TruncatedRows > 0) text.AppendLine($"truncated rows {Quantities.Count(s.TruncatedRows)}");
        if (s.SplitRows > 0) text.AppendLine($"split rows {Quantities.Count(s.SplitRows)}");
        if (s.Duplicates > 0)
            text.AppendLine($"duplicate rows {Quantities.Count(s.Duplicates)}: "
                + $"{string.Join(", ", report.Duplicates.Take(5).Select(row => $"{row.Source} (as {Place(row)})"))}");
        if (s.EmptyAnswers > 0) text.AppendLine($"empty answers {Quantities.Count(s.EmptyAnswers)}: {string.Join(", ", report.EmptyAnswers.Take(5))}");
        foreach (var (kind, count) in s.Dropped) text.AppendLine($"dropped, {Words(kind)}: {Quantities.Count(count)}");
        foreach (var (column, count) in s.IgnoredColumns) text.AppendLine($"not used: {column}, {Quantities.Count(count)} rows");
        foreach (var (note, count) in s.Notes) text.AppendLine($"note: {note}, {Quantities.Count(count)} rows");
        Histogram(text, s.Lengths, terminal);
        foreach (var fault in report.FileFaults) text.AppendLine("refused: " + fault);
        // The same fault of many rows is one line: its first row, how many there are, and where a few of them stand.
        var groups = report.Faults.GroupBy(fault => (fault.Kind, Kind(fault.Reason))).ToList();
        foreach (var group in groups.Take(MostFaultsShown))
        {
            // The list ends at a thousand, the counts do not: of a kind with one fault alone the count is that fault's.
            var count = groups.Count(other => other.Key.Kind == group.Key.Kind) == 1
                ? report.FaultCounts.GetValueOrDefault(group.Key.Kind, group.Count()) : group.Count();
            // A row is refused where its kind of fault is not asked to be left out.
            text.Append(s.Dropped.ContainsKey(group.Key.Kind) ? "dropped: " : "refused: ");
            if (count > 1) text.Append($"{Quantities.Count(count)} rows such as ");
            text.Append(group.First().Message);
            if (count > 1)
                text.Append($" (also {string.Join(", ", group.Skip(1).Take(PlacesShown).Select(fault => Place(fault.Source, group.First().Source)))}"
                    + $"{(count > PlacesShown + 1 ? ", ..." : "")})");
            text.AppendLine();
        }
        var all = report.FaultCounts.Values.Sum();
        if (groups.Count > MostFaultsShown || all > report.Faults.Count)
            text.AppendLine($"in all: {string.Join(", ", report.FaultCounts.Select(pair => $"{Words(pair.Key)} {Quantities.Count(pair.Value)}"))}");
        return text.ToString();
    }

    /// <summary>Two rows that are too long by different counts have the same fault, and so do two whose own words stand in brackets.</summary>
    private static string Kind(string reason)
    {
        var (open, close) = (reason.IndexOf('(', StringComparison.Ordinal), reason.LastIndexOf(')'));
        return string.Concat((open >= 0 && close > open ? reason.Remove(open, close - open) : reason).Where(letter => !char.IsAsciiDigit(letter)));
    }

    private static void Histogram(StringBuilder text, IReadOnlyList<LengthBucket> lengths, Terminal terminal)
    {
        var shown = lengths.Where(bucket => bucket.Rows > 0).ToList();
        if (shown.Count == 0) return;
        var most = shown.Max(bucket => bucket.Rows);
        var room = Math.Clamp(terminal.Width - 30, 10, 50);
        text.AppendLine("tokens in a row");
        foreach (var bucket in shown)
            text.AppendLine($"{bucket.From,7}-{bucket.To,-7} {Quantities.Count(bucket.Rows),9} "
                + $"{new string(terminal.HasUnicode ? '█' : '#', (int)Math.Max(1, room * bucket.Rows / most))}");
    }

    /// <summary>The line alone where the first of the two stands in the same file.</summary>
    private static string Place(DuplicateRow row) => Place(row.First, row.Source);

    private static string Place(RowSource row, RowSource beside) => row.File == beside.File ? $"line {row.Line}" : row.ToString();

    private static string Snake(FaultKind kind) => System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString());

    private static string Words(FaultKind kind) => Snake(kind).Replace('_', ' ');
}
