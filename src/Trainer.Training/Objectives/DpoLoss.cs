namespace Trainer.Training.Objectives;

/// <summary>
/// Direct preference optimization: the sum of one or several losses of <see cref="PairLoss"/>, each times its weight, and where asked for the chosen
/// answer's own cross entropy, as the mean over the micro-batch's tokens (loss type sft, TRL) or over its rows (--pref-ftx, LLaMA-Factory).
/// </summary>
internal sealed class DpoLoss(TrainingOptions run) : ISequenceLoss
{
    private readonly PreferenceOptions _options = run.Preference;

    private readonly IReadOnlyList<string> _types = run.Preference.LossType.Count > 0 ? run.Preference.LossType : ["sigmoid"];

    public IReadOnlyList<string> Metrics => _options.NllWeight > 0 ? [.. PairMetrics.Names, "nll_loss"] : PairMetrics.Names;

    public double Weigh(IReadOnlyList<AnswerScore> answers, float[] weights, MetricSums metrics)
    {
        var pairs = PairMetrics.Pairs(answers).Select(Shortened).ToList();
        double sum = 0;
        for (var i = 0; i < _types.Count; i++)
        {
            var weight = _options.LossWeights.Count > 0 ? _options.LossWeights[i] : 1;
            if (_types[i] == "sft") sum += ChosenLoss.ByToken(pairs.Select(pair => pair.Chosen).ToList(), pairs.Count * weight, weights);
            else foreach (var (chosen, rejected) in pairs) sum += weight * Weigh(_types[i], weight, chosen, rejected, weights);
        }
        if (_options.NllWeight > 0)
            sum += pairs.Count * ChosenLoss.Likely([.. pairs.Select(pair => pair.Chosen)], pairs.Count, _options.NllWeight, weights, metrics);
        if (_options.PrefFtx > 0) sum += ChosenLoss.ByRow(pairs.Select(pair => pair.Chosen), _options.PrefFtx, weights);
        PairMetrics.AddLogits(metrics, [.. pairs.Select(pair => pair.Chosen)], [.. pairs.Select(pair => pair.Rejected)]);
        PairMetrics.Add(metrics,
            [.. pairs.Select(pair => ((_options.Beta * pair.Chosen.Ratio, pair.Chosen.Sum), (_options.Beta * pair.Rejected.Ratio, pair.Rejected.Sum)))]);
        return sum;
    }

    private double Weigh(string type, double weight, AnswerScore chosen, AnswerScore rejected, float[] weights)
    {
        var (loss, byChosen, byRejected) = PairLoss.Of(type, chosen, rejected, _options.Beta, run.LabelSmoothing);
        chosen.Pull(weights, weight * byChosen);
        rejected.Pull(weights, weight * byRejected);
        return loss;
    }

    // What the longer answer has beyond the shorter one counts less.
    private (AnswerScore Chosen, AnswerScore Rejected) Shortened((AnswerScore Chosen, AnswerScore Rejected) pair)
    {
        if (_options.LdAlpha is not { } alpha) return pair;
        var head = Math.Min(pair.Chosen.Count, pair.Rejected.Count);
        return (pair.Chosen with { Head = head, TailWeight = alpha }, pair.Rejected with { Head = head, TailWeight = alpha });
    }
}
