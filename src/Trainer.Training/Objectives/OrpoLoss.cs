using Trainer.Data;

namespace Trainer.Training.Objectives;

/// <summary>
/// ORPO (arXiv 2403.07691): cross entropy minus beta log sigmoid(o), with the log-odds ratio o = a_c - a_j - (log(1 - e^a_c) - log(1 - e^a_j)) of the mean
/// log-probabilities a. Two trainers publish two objectives under this name: TRL takes the cross entropy of prompt and chosen answer, as a mean over
/// the micro-batch's tokens; LLaMA-Factory that of the answer alone, as a mean of row means.
/// </summary>
internal sealed class OrpoLoss(TrainingOptions run) : ISequenceLoss
{
    private readonly PreferenceOptions _options = run.Preference;

    private readonly bool _wholeRow = run.Preference.LossType is not ["llamafactory"];

    public IReadOnlyList<string> Metrics => [.. PairMetrics.Names, "nll_loss", "log_odds_ratio", "log_odds_chosen"];

    public MicroBatch Prepare(MicroBatch batch) => _wholeRow ? batch.WithPromptTargets(SegmentRole.Chosen) : batch;

    public double Weigh(IReadOnlyList<AnswerScore> answers, float[] weights, MetricSums metrics)
    {
        var pairs = PairMetrics.Pairs(answers).ToList();
        double sum = 0, odds = 0, logOdds = 0;
        foreach (var (chosen, rejected) in pairs)
        {
            var o = chosen.Mean - rejected.Mean - (LogOneMinusExp(chosen.Mean) - LogOneMinusExp(rejected.Mean));
            sum -= _options.Beta * Sigmoid.Log(o);
            (odds, logOdds) = (odds + o, logOdds + Sigmoid.Log(o));
            var slope = -_options.Beta * Sigmoid.Of(-o);
            // da of a - log(1 - e^a) is 1 / (1 - e^a).
            chosen.Pull(weights, slope / -Expm1(chosen.Mean) / chosen.Count);
            rejected.Pull(weights, slope / Expm1(rejected.Mean) / rejected.Count);
        }
        var likely = _wholeRow
            ? ChosenLoss.ByToken([.. pairs.Select(pair => pair.Chosen with { Begin = pair.Chosen.PromptBegin })], pairs.Count, weights)
            : ChosenLoss.ByRow(pairs.Select(pair => pair.Chosen), 1, weights);
        metrics.Add("nll_loss", likely / pairs.Count);
        metrics.Add("log_odds_ratio", logOdds / pairs.Count);
        metrics.Add("log_odds_chosen", odds / pairs.Count);
        PairMetrics.AddLogits(metrics, [.. pairs.Select(pair => pair.Chosen)], [.. pairs.Select(pair => pair.Rejected)]);
        PairMetrics.Add(metrics,
            [.. pairs.Select(pair => ((_options.Beta * pair.Chosen.Mean, pair.Chosen.Mean), (_options.Beta * pair.Rejected.Mean, pair.Rejected.Mean)))]);
        return sum + likely;
    }

    // e^a - 1, below 0: a mean of exactly 0 would be an answer that cannot be otherwise.
    private static double Expm1(double a) => Sigmoid.ExpMinusOne(Math.Min(a, -1e-12));

    private static double LogOneMinusExp(double a) => a > -0.6931471805599453 ? Math.Log(-Expm1(a)) : Sigmoid.LogOnePlus(-Math.Exp(a));
}
