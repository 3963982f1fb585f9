using Trainer.Data.Answers;

namespace Trainer.Training.Answers;

/// <summary>Lets the model of a run answer held-out rows as it is now.</summary>
/// <param name="rows">The rows; of several ranks each answers its share.</param>
/// <param name="judge">Compares.</param>
/// <param name="answer">What the model says to rows; calls an action after each answer.</param>
internal sealed class AnswerEvaluation(IReadOnlyList<AnswerRow> rows, AnswerJudge judge, Func<IReadOnlyList<AnswerRow>, Action, IReadOnlyList<string>> answer)
{
    /// <summary>Sums of this rank's scores, one a metric, and behind them the rows.</summary>
    /// <param name="rank">This rank.</param>
    /// <param name="ranks">Of how many.</param>
    /// <param name="between">Called before the first answer and after each.</param>
    public double[] Sums(int rank, int ranks, Action between)
    {
        var sums = new double[judge.Metrics.Count + 1];
        between();
        List<AnswerRow> mine = [.. rows.Where((_, at) => at % ranks == rank)];
        foreach (var (row, text) in mine.Zip(answer(mine, between)))
        {
            var scores = judge.Scores(text, row.Reference);
            for (var metric = 0; metric < scores.Length; metric++) sums[metric] += scores[metric];
            sums[^1]++;
        }
        return sums;
    }

    /// <summary>Adds the means to what an evaluation measured.</summary>
    /// <param name="measured">By the metrics' names.</param>
    /// <param name="sums">Of all ranks together.</param>
    public void Add(Dictionary<string, double> measured, ReadOnlySpan<double> sums)
    {
        for (var metric = 0; metric < judge.Metrics.Count; metric++)
            if (sums[^1] > 0) measured[judge.Metrics[metric]] = sums[metric] / sums[^1];
    }
}
