using Trainer.Data;
using Trainer.Data.Answers;

namespace Trainer.Training.Answers;

/// <summary>Compares answers by several metrics, whole or by the part that a pattern finds.</summary>
/// <param name="metrics">Names of <see cref="AnswerMetrics.Names"/>.</param>
/// <param name="pattern">What is compared of an answer, or null for all of it.</param>
public sealed class AnswerJudge(IReadOnlyList<string> metrics, string? pattern)
{
    private readonly AnswerPattern? _pattern = pattern is null ? null : new AnswerPattern(pattern);

    /// <summary>The metrics, in order.</summary>
    public IReadOnlyList<string> Metrics => metrics;

    /// <summary>What is compared of a text; null where the pattern finds nothing in it.</summary>
    /// <param name="text">An answer.</param>
    public string? Part(string text) => _pattern is null ? text : _pattern.Find(text);

    /// <summary>Refuses rows whose wanted answer a metric cannot compare with: they would count as wrong, whatever the model says.</summary>
    /// <param name="rows">The rows.</param>
    /// <exception cref="DataException">One of them has such an answer.</exception>
    public void Require(IEnumerable<AnswerRow> rows)
    {
        foreach (var row in rows)
            if (metrics.FirstOrDefault(metric => !AnswerMetrics.IsComparable(metric, Part(row.Reference) ?? row.Reference)) is { } metric)
                throw new DataException($"bad row ({row.Source}): its answer names no letter for the metric {metric}; leave the row out, or find the letter "
                    + "with --answer-pattern");
    }

    /// <summary>The scores of an answer, one a metric, each from 0 to 1. An answer without the part that is compared scores 0 where one is wanted.</summary>
    /// <param name="answer">What the model said.</param>
    /// <param name="reference">What was wanted.</param>
    public double[] Scores(string answer, string reference)
    {
        // A reference without the pattern is the part already, as a column of numbers is.
        var (said, wanted) = (Part(answer), Part(reference) ?? reference);
        return [.. metrics.Select(metric => metric == "json_valid"
            ? AnswerMetrics.Score(metric, answer, reference) : said is null ? 0 : AnswerMetrics.Score(metric, said, wanted))];
    }
}
