namespace Trainer.Training.Objectives;

/// <summary>SimPO (arXiv 2405.14734): -log sigmoid(beta (a_c - a_j) - gamma) with a the mean log-probability of a token; no reference.</summary>
internal sealed class SimpoLoss(TrainingOptions run) : ISequenceLoss
{
    private readonly PreferenceOptions _options = run.Preference;

    public IReadOnlyList<string> Metrics => _options.NllWeight > 0 ? [.. PairMetrics.Names, "nll_loss"] : PairMetrics.Names;

    public double Weigh(IReadOnlyList<AnswerScore> answers, float[] weights, MetricSums metrics)
    {
        var pairs = PairMetrics.Pairs(answers).ToList();
        var wrong = run.LabelSmoothing;
        double sum = 0;
        foreach (var (chosen, rejected) in pairs)
        {
            var z = _options.Beta * (chosen.Mean - rejected.Mean) - _options.SimpoGamma;
            sum += -(1 - wrong) * Sigmoid.Log(z) - wrong * Sigmoid.Log(-z);
            var slope = _options.Beta * (-(1 - wrong) * Sigmoid.Of(-z) + wrong * Sigmoid.Of(z));
            chosen.Pull(weights, slope / chosen.Count);
            rejected.Pull(weights, -slope / rejected.Count);
        }
        if (_options.NllWeight > 0)
            sum += pairs.Count * ChosenLoss.Likely([.. pairs.Select(pair => pair.Chosen)], pairs.Count, _options.NllWeight, weights, metrics);
        if (_options.PrefFtx > 0) sum += ChosenLoss.ByRow(pairs.Select(pair => pair.Chosen), _options.PrefFtx, weights);
        PairMetrics.AddLogits(metrics, [.. pairs.Select(pair => pair.Chosen)], [.. pairs.Select(pair => pair.Rejected)]);
        PairMetrics.Add(metrics,
            [.. pairs.Select(pair => ((_options.Beta * pair.Chosen.Mean, pair.Chosen.Mean), (_options.Beta * pair.Rejected.Mean, pair.Rejected.Mean)))]);
        return sum;
    }
}
