using Trainer.Data;

namespace Trainer.Training.Objectives;

/// <summary>
/// KTO (arXiv 2402.01306): with R the policy's log-ratio and z the mean log-ratio of mismatched answers in the micro-batch, at least 0 and without
/// gradient, a desirable row costs w_d (1 - sigmoid(beta (R - z))) and an undesirable one w_u (1 - sigmoid(beta (z - R))).
/// apo-zero-unpaired (arXiv 2408.06266) has no z.
/// </summary>
internal sealed class KtoLoss(TrainingOptions run) : ISequenceLoss
{
    private readonly PreferenceOptions _options = run.Preference;

    private readonly bool _hasEstimate = ObjectiveTable.MeasuresMismatched(run);

    public IReadOnlyList<string> Metrics =>
        ["rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected", .. PairMetrics.Logits, "kl"];

    // A packed bin, or the last batch of a pass, may hold one row alone, whose answer belongs to its prompt: measured with it, z would be the row's own
    // log-ratio. There z is 0.
    public MicroBatch Prepare(MicroBatch batch) =>
        !_hasEstimate ? batch.Segments(role => role != SegmentRole.Mismatched)
        : batch.Roles.Length == 1 ? batch
        : batch.WithMismatched();

    public double Weigh(IReadOnlyList<AnswerScore> answers, float[] weights, MetricSums metrics)
    {
        var rows = answers.Where(answer => answer.Role != SegmentRole.Mismatched).ToList();
        var mismatched = answers.Where(answer => answer.Role == SegmentRole.Mismatched).ToList();
        var z = mismatched.Count == 0 ? 0 : Math.Max(0, mismatched.Average(answer => answer.Ratio));
        double sum = 0;
        foreach (var row in rows)
        {
            var (sign, weight) = row.Role == SegmentRole.Desirable ? (1, _options.DesirableWeight) : (-1, _options.UndesirableWeight);
            var margin = _options.Beta * sign * (row.Ratio - z);
            sum += weight * (1 - Sigmoid.Of(margin));
            row.Pull(weights, -weight * _options.Beta * sign * Sigmoid.Slope(margin));
        }
        var (desirable, undesirable) = (rows.Where(row => row.Role == SegmentRole.Desirable).ToList(),
            rows.Where(row => row.Role == SegmentRole.Undesirable).ToList());
        // LLaMA-Factory's: the mean over the desirable rows, times rows by desirable rows.
        if (_options.PrefFtx > 0 && desirable.Count > 0)
            sum += ChosenLoss.ByRow(desirable, _options.PrefFtx * rows.Count / desirable.Count * rows.Count / desirable.Count, weights);
        var (better, worse) = (Mean(desirable, row => _options.Beta * row.Ratio), Mean(undesirable, row => _options.Beta * row.Ratio));
        metrics.Add("rewards/chosen", better);
        metrics.Add("rewards/rejected", worse);
        metrics.Add("rewards/margins", better - worse);
        metrics.Add("logps/chosen", Mean(desirable, row => row.Sum));
        metrics.Add("logps/rejected", Mean(undesirable, row => row.Sum));
        PairMetrics.AddLogits(metrics, desirable, undesirable);
        if (_hasEstimate) metrics.Add("kl", z);
        return sum;
    }

    private static double Mean(List<AnswerScore> rows, Func<AnswerScore, double> value) => rows.Count == 0 ? double.NaN : rows.Average(value);
}
