using Trainer.Data;

namespace Trainer.Training.Steps;

/// <summary>What the loop needs of the data: the micro-batches of each optimizer step, a pure function of its number, and the held-out ones.</summary>
internal interface ITrainingData
{
    /// <summary>Optimizer steps of so many passes.</summary>
    long StepsOf(double epochs);

    /// <summary>The micro-batches of one step, from 0.</summary>
    IReadOnlyList<MicroBatch> Step(long step);

    /// <summary>The micro-batch with the most tokens.</summary>
    MicroBatch LongestBatch();

    /// <summary>Passes made when so many steps are done.</summary>
    double EpochAt(long stepsDone);

    /// <summary>Held-out micro-batches, in file order; empty where there are none.</summary>
    IReadOnlyList<MicroBatch> EvalBatches { get; }
}
