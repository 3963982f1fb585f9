using Trainer.Data;
using Trainer.Engine;
using Trainer.Training.Steps;

namespace Trainer.Training.Objectives;

/// <summary>What a run minimises: how a micro-batch's loss and gradient come from the model, and what a step's sum is divided by.</summary>
internal interface IObjective
{
    /// <summary>Names of what it measures beside the loss, as TRL logs them.</summary>
    IReadOnlyList<string> Metrics { get; }

    /// <summary>What the sum over micro-batches is divided by, a function of the whole step's rows: any split into micro-batches and ranks gives the same
    /// mean.</summary>
    /// <param name="batches">All micro-batches of a step or of an evaluation, of every rank.</param>
    double Divisor(IReadOnlyList<MicroBatch> batches);

    /// <summary>Adds the gradient of one micro-batch.</summary>
    /// <param name="model">What is trained.</param>
    /// <param name="batch">The rows.</param>
    /// <param name="scale">Multiplier of the gradient: 1 / <see cref="Divisor"/>.</param>
    /// <param name="key">Where the micro-step stands in the run.</param>
    /// <param name="metrics">Hears what is measured.</param>
    /// <returns>The micro-batch's part of the sum, not scaled.</returns>
    double ForwardBackward(IAdaptedModel model, MicroBatch batch, double scale, StepKey key, MetricSums metrics);

    /// <summary>The same for several micro-batches in their order; where the objective needs no pass but the trained one, layers may be read once for all of
    /// them.</summary>
    /// <param name="model">What is trained.</param>
    /// <param name="batches">The micro-batches.</param>
    /// <param name="scale">Multiplier of the gradients.</param>
    /// <param name="keys">Where each stands in the run.</param>
    /// <param name="metrics">Hears what is measured.</param>
    double[] ForwardBackward(IAdaptedModel model, IReadOnlyList<MicroBatch> batches, double scale, IReadOnlyList<StepKey> keys, MetricSums metrics)
        => [.. batches.Zip(keys, (batch, key) => ForwardBackward(model, batch, scale, key, metrics))];

    /// <summary>The micro-batch's part of the sum without gradient and dropout.</summary>
    double Evaluate(IAdaptedModel model, MicroBatch batch, MetricSums metrics);
}
