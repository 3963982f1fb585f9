using Trainer.Data;
using Trainer.Engine;
using Trainer.Training.Steps;

namespace Trainer.Training.Objectives;

/// <summary>
/// Supervised fine-tuning: the mean cross entropy over all trained tokens of the step, each row times its weight. With loss type dft (arXiv
/// 2508.05629) each token's loss is multiplied by the token's own probability, taken as a number without gradient.
/// </summary>
internal sealed class TokenObjective(TrainingOptions options) : IObjective
{
    private readonly bool _isDft = options.Preference.LossType is ["dft"];

    public IReadOnlyList<string> Metrics => [];

    public double Divisor(IReadOnlyList<MicroBatch> batches) => batches.Sum(batch => (double)batch.TrainedTokens);

    public double ForwardBackward(IAdaptedModel model, MicroBatch batch, double scale, StepKey key, MetricSums metrics)
    {
        if (!_isDft) return model.ForwardBackward(batch, scale, key);
        double sum = 0;
        var balance = model.ForwardBackward(batch, losses =>
        {
            var weights = new float[losses.Length];
            for (var segment = 0; segment < batch.SegmentWeights.Length; segment++)
            {
                for (var t = batch.SegmentStarts[segment]; t < batch.SegmentStarts[segment + 1]; t++)
                {
                    if (batch.Targets[t] == Example.IgnoredLabel) continue;
                    var weight = batch.SegmentWeights[segment] * Math.Exp(-losses[t]);
                    sum += weight * losses[t];
                    weights[t] = (float)(weight * scale);
                }
            }
            return weights;
        }, key, scale * batch.TrainedTokens);
        return sum + balance / scale;
    }

    public double[] ForwardBackward(IAdaptedModel model, IReadOnlyList<MicroBatch> batches, double scale, IReadOnlyList<StepKey> keys, MetricSums metrics)
        => _isDft ? [.. batches.Zip(keys, (batch, key) => ForwardBackward(model, batch, scale, key, metrics))] : model.ForwardBackward(batches, scale, keys);

    public double Evaluate(IAdaptedModel model, MicroBatch batch, MetricSums metrics) => BatchLoss.Of(model.TokenLosses(batch), batch);
}
