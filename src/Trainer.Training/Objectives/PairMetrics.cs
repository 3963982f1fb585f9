namespace Trainer.Training.Objectives;

/// <summary>What every loss over pairs measures: rewards are beta times each side's score, equal rewards count as wrong.</summary>
internal static class PairMetrics
{
    public static readonly IReadOnlyList<string> Names =
        ["rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected", .. Logits];

    /// <summary>Mean logit over the vocabulary and over all tokens of a side's answers.</summary>
    public static IReadOnlyList<string> Logits => ["logits/chosen", "logits/rejected"];

    /// <summary>Measures the mean logits of either side; of no answers nothing.</summary>
    public static void AddLogits(MetricSums metrics, IReadOnlyCollection<AnswerScore> chosen, IReadOnlyCollection<AnswerScore> rejected)
    {
        metrics.Add("logits/chosen", chosen.Sum(answer => answer.LogitSum) / chosen.Sum(answer => answer.Count));
        metrics.Add("logits/rejected", rejected.Sum(answer => answer.LogitSum) / rejected.Sum(answer => answer.Count));
    }

    /// <summary>The pairs of a micro-batch: a chosen answer is followed by its rejected one.</summary>
    public static IEnumerable<(AnswerScore Chosen, AnswerScore Rejected)> Pairs(IReadOnlyList<AnswerScore> answers)
    {
        for (var i = 0; i + 1 < answers.Count; i += 2) yield return (answers[i], answers[i + 1]);
    }

    /// <param name="metrics">Hears the means.</param>
    /// <param name="pairs">Reward and log-probability of either side, for each pair.</param>
    public static void Add(MetricSums metrics,
        IReadOnlyList<((double Reward, double LogProbability) Chosen, (double Reward, double LogProbability) Rejected)> pairs)
    {
        metrics.Add("rewards/chosen", pairs.Average(pair => pair.Chosen.Reward));
        metrics.Add("rewards/rejected", pairs.Average(pair => pair.Rejected.Reward));
        metrics.Add("rewards/accuracies", pairs.Average(pair => pair.Chosen.Reward > pair.Rejected.Reward ? 1.0 : 0));
        metrics.Add("rewards/margins", pairs.Average(pair => pair.Chosen.Reward - pair.Rejected.Reward));
        metrics.Add("logps/chosen", pairs.Average(pair => pair.Chosen.LogProbability));
        metrics.Add("logps/rejected", pairs.Average(pair => pair.Rejected.LogProbability));
    }
}
