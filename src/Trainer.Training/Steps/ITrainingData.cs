using Trainer.Data;

namespace Trainer.Training.Steps;

/// <summary>What the loop needs of the data: the micro-batches of each optimizer step, a pure function of its number, and the held-out ones.</summary>
internal interface ITrainingData
{
    /// <summary>Optimizer steps of so many passes.</summary>
    long StepsOf(double epochs);

    /// <summary>The micro-batches of one step, from 0.</summary>
    /// <param name="step">The step.</param>
    /// <param name="between">Called now and then where they take long to come; may throw to give the step up.</param>
    IReadOnlyList<MicroBatch> Step(long step, Action? between = null);

    /// <summary>The micro-batch with the most tokens.</summary>
    MicroBatch LongestBatch();

    /// <summary>Passes made when so many steps are done.</summary>
    double EpochAt(long stepsDone);

    /// <summary>Held-out micro-batches, in file order; empty where there are none.</summary>
    IReadOnlyList<MicroBatch> EvalBatches { get; }
}
