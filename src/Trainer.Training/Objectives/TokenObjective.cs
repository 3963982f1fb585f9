using Trainer.Data;
using Trainer.Engine;

namespace Trainer.Training.Objectives;

/// <summary>Supervised fine-tuning: the mean cross entropy over all trained tokens of the step, each row times its weight.</summary>
internal sealed class TokenObjective : IObjective
{
    public double Divisor(IReadOnlyList<MicroBatch> batches) => batches.Sum(batch => (double)batch.TrainedTokens);

    public double ForwardBackward(IAdaptedModel model, MicroBatch batch, double scale, StepKey key) => model.ForwardBackward(batch, scale, key);

    public double Evaluate(IAdaptedModel model, MicroBatch batch) => BatchLoss.Of(model.TokenLosses(batch), batch);
}
