using Trainer.Data;

namespace Trainer.Training.Objectives;

/// <summary>
/// The loss of answers that the model made up (arXiv 2402.03300). With r the ratio of a token's probability to that when it was drawn, or of the whole
/// answer's to the power 1/n (GSPO, arXiv 2507.18071), and A the answer's advantage, a token costs -min(r A, clip(r, 1 - low, 1 + high) A), and where a
/// reference is kept beta (e^d - d - 1) more, d = log p of the reference - log p. How tokens become one number is the loss type: grpo takes the mean over
/// an answer and then over answers; dr-grpo (arXiv 2503.20783) divides by answers times their greatest length; dapo (arXiv 2503.14476) by all tokens of
/// the step, cut answers included; bnpo by the tokens of the micro-batch.
/// </summary>
internal sealed class GrpoLoss(TrainingOptions run)
{
    /// <summary>The loss types, the default first.</summary>
    public static readonly IReadOnlyList<string> Names = ["dapo", "grpo", "dr-grpo", "bnpo"];

    private readonly GrpoOptions _options = run.Grpo;

    private readonly string _type = run.Preference.LossType is [var type] ? type : Names[0];

    /// <summary>Adds up a micro-batch.</summary>
    /// <param name="batch">Answers behind their prompts, with their rollout.</param>
    /// <param name="losses">Token losses of the policy.</param>
    /// <param name="weights">Length T, filled: derivative of the sum by each token's loss.</param>
    /// <param name="metrics">Hears the divergence and what was clipped.</param>
    /// <returns>The micro-batch's part of the sum that <see cref="Share"/> divides.</returns>
    public double Sum(MicroBatch batch, float[] losses, float[] weights, MetricSums metrics)
    {
        var rollout = batch.Rollout!;
        var (isSequence, low, high) = (_options.ImportanceLevel == "sequence", 1 - _options.Epsilon, 1 + (_options.EpsilonHigh ?? _options.Epsilon));
        var beta = batch.ReferenceLosses is null ? 0 : run.Preference.Beta;
        var trained = batch.TrainedTokens;
        double sum = 0, kl = 0, below = 0, above = 0, counted = 0;
        for (var segment = 0; segment < batch.Roles.Length; segment++)
        {
            var (begin, end) = (batch.AnswerStarts[segment] - 1, batch.SegmentStarts[segment + 1] - 1);
            // An answer that is left out has no targets.
            if (batch.Targets[begin] == Example.IgnoredLabel) continue;
            var (advantage, count) = (rollout.Advantages[segment], end - begin);
            var each = _type switch
            {
                "grpo" => 1.0 / count,
                "dr-grpo" => 1.0 / _options.MaxCompletionLength,
                "bnpo" => 1.0 / trained,
                _ => 1,
            };
            // log p = -loss.
            double Moved(int t) => rollout.SampledLosses is { } before ? before[t] - (double)losses[t] : 0;
            double whole = 0;
            for (var t = begin; isSequence && t < end; t++) whole += Moved(t) / count;
            for (var t = begin; t < end; t++)
            {
                var ratio = Math.Exp(isSequence ? whole : Moved(t));
                var (free, clipped) = (ratio * advantage, Math.Clamp(ratio, low, high) * advantage);
                sum -= each * Math.Min(free, clipped);
                // By log p the ratio's derivative is the ratio; of a whole answer each token has 1/n of it, n times.
                if (free <= clipped) weights[t] += (float)(each * free);
                if (!isSequence || t == begin)
                {
                    counted++;
                    if (ratio < low && advantage < 0) below++;
                    if (ratio > high && advantage > 0) above++;
                }
                if (beta == 0) continue;
                var distance = losses[t] - (double)batch.ReferenceLosses![t];
                var divergence = Math.Exp(distance) - distance - 1;
                sum += each * beta * divergence;
                weights[t] += (float)(each * beta * (Math.Exp(distance) - 1));
                kl += divergence / trained;
            }
        }
        if (counted > 0)
        {
            if (beta > 0) metrics.Add("kl", kl);
            metrics.Add("clip_ratio/low_mean", below / counted);
            metrics.Add("clip_ratio/high_mean", above / counted);
            metrics.Add("clip_ratio/region_mean", (below + above) / counted);
        }
        return sum;
    }

    /// <summary>What a micro-batch adds to what the sum of a step is divided by.</summary>
    /// <param name="batch">Answers behind their prompts.</param>
    public double Share(MicroBatch batch) => _type switch
    {
        "grpo" or "dr-grpo" => batch.RowCount,
        "bnpo" => 1,
        _ => Enumerable.Range(0, batch.Roles.Length).Sum(segment => (double)(batch.SegmentStarts[segment + 1] - batch.AnswerStarts[segment])),
    };
}
