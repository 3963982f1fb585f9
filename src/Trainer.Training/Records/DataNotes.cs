using System.Globalization;
using System.Text.Json;
using Trainer.Data;

namespace Trainer.Training.Records;

/// <summary>Tells what became of the rows: what is left out or cut is never left out or cut in silence.</summary>
internal static class DataNotes
{
    /// <summary>Says it to the observers.</summary>
    public static void Tell(DataStatistics data, Events events)
    {
        events.Note(string.Create(CultureInfo.InvariantCulture,
            $"data: {data.Rows} rows, {data.Tokens} tokens, {data.TrainedTokens} of them trained, longest "
            + $"row {data.LongestExample}{(data.FromCache ? ", from the cache" : "")}"));
        if (data.Answers.Words() is { Length: > 0 } answers) events.Note($"answers: {answers}");
        foreach (var (reason, rows) in Dropped(data))
            events.Warn(string.Create(CultureInfo.InvariantCulture, $"{rows} rows left out: {reason.Replace('_', ' ')}"));
        if (data.TruncatedRows > 0) events.Warn(string.Create(CultureInfo.InvariantCulture, $"{data.TruncatedRows} rows cut to --max-seq-length"));
        if (data.SplitRows > 0) events.Note(string.Create(CultureInfo.InvariantCulture, $"{data.SplitRows} rows split into several"));
        if (data.EmptyAnswers > 0)
            events.Warn(string.Create(CultureInfo.InvariantCulture, $"{data.EmptyAnswers} rows have an answer without text; 'trainer data check' names them"));
        if (data.Duplicates > 0) events.Note(string.Create(CultureInfo.InvariantCulture, $"{data.Duplicates} rows repeat an earlier one"));
        foreach (var (note, rows) in data.Notes) events.Note(string.Create(CultureInfo.InvariantCulture, $"{note}, {rows} rows"));
        foreach (var (column, rows) in data.IgnoredColumns) events.Warn(string.Create(CultureInfo.InvariantCulture, $"not used: {column}, {rows} rows"));
    }

    /// <summary>Rows left out by reason, in snake_case.</summary>
    public static IReadOnlyDictionary<string, long> Dropped(DataStatistics data)
        => data.Dropped.ToDictionary(pair => JsonNamingPolicy.SnakeCaseLower.ConvertName(pair.Key.ToString()), pair => pair.Value);
}
