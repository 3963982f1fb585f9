using Trainer.Data;
using Trainer.Distributed;
using Trainer.Engine;
using Trainer.Training.Objectives;
using Trainer.Training.Optimizers;

namespace Trainer.Training.Steps;

/// <summary>
/// The arithmetic of one optimizer step, and its only place: the loop, a replay and the plan's probe all come here.
/// The gradient is that of (sum over micro-batches of the objective) / divisor, where the divisor is known from the rows alone. So each rank
/// scales its own part, one sum over the ranks is enough, and 1 x 8 equals 8 x 1.
/// </summary>
internal sealed class TrainingStep(TrainingOptions options, IAdaptedModel model, IObjective objective, ICollective ranks)
{
    /// <summary>Fills the gradients of one step.</summary>
    /// <param name="step">Zero-based optimizer step: part of the key of each dropout mask.</param>
    /// <param name="batches">All micro-batches of the step. Rank r of n computes those whose index is r modulo n.</param>
    /// <param name="stopAsked">Whether this rank was asked to stop: it travels with the gradients, so that all ranks stop after the same step.</param>
    /// <param name="isShortOfMemory">Whether this rank has too little memory; travels as well.</param>
    /// <param name="afterMicroBatch">Hears the index and the loss sum of each computed micro-batch; may throw to abandon the step.</param>
    public StepTotals Gradients(int step, IReadOnlyList<MicroBatch> batches, bool stopAsked = false, bool isShortOfMemory = false,
        Action<int, double>? afterMicroBatch = null)
    {
        var divisor = objective.Divisor(batches);
        var metrics = new MetricSums(objective.Metrics);
        model.Parameters.ClearGradients();
        double lossSum = 0;
        var mine = Enumerable.Range(0, batches.Count).Where(micro => micro % ranks.Size == ranks.Rank);
        foreach (var together in mine.Chunk(model.Together))
        {
            StepKey[] keys = [.. together.Select(micro => new StepKey(options.Seed, step, micro))];
            var sums = objective.ForwardBackward(model, [.. together.Select(micro => batches[micro])], 1 / divisor, keys, metrics);
            for (var i = 0; i < together.Length; i++)
            {
                lossSum += sums[i];
                afterMicroBatch?.Invoke(together[i], sums[i]);
            }
        }
        double[] riders = [lossSum, stopAsked ? 1 : 0, isShortOfMemory ? 1 : 0, .. metrics.Numbers];
        model.Parameters.SumGradients(ranks, riders);
        riders.AsSpan(3).CopyTo(metrics.Numbers);
        return new StepTotals(riders[0] / divisor, model.Parameters.GradientNorm(), metrics.Means(), riders[1] > 0, riders[2] > 0);
    }

    /// <summary>Clips the gradients and updates the values.</summary>
    /// <param name="optimizer">How.</param>
    /// <param name="step">Zero-based optimizer step.</param>
    /// <param name="rate">The schedule's rate.</param>
    /// <param name="gradNorm">The norm that <see cref="Gradients"/> gave.</param>
    public void Update(IOptimizer optimizer, int step, double rate, double gradNorm) =>
        model.Parameters.Step(optimizer, new OptimizerStep(step + 1, rate, GradientNorm.ClipCoefficient(gradNorm, options.MaxGradNorm)));

    /// <summary>Runs one micro-batch as a step would and throws its gradients away.</summary>
    /// <param name="batch">The rows.</param>
    public void Rehearse(MicroBatch batch)
    {
        // A step that no run makes, so that its dropout masks are nobody's.
        Gradients(-1, [batch]);
        model.Parameters.ClearGradients();
    }
}
