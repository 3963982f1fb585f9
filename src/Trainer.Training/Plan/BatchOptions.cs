using Trainer.Data;
using Trainer.Data.Batching;
using Trainer.Training.Objectives;

namespace Trainer.Training.Plan;

/// <summary>How a run's options cut rows into micro-batches: one answer for the plan and the run.</summary>
internal static class BatchOptions
{
    public static BatchPlanOptions Of(TrainingOptions options) => new()
    {
        BatchSize = options.BatchSize,
        MicroBatchesPerStep = options.GradientAccumulationSteps,
        Seed = options.DataSeed ?? options.Seed,
        Shuffle = options.Shuffle,
        GroupByLength = options.GroupByLength,
        Packing = options.Packing,
        // A pair is two sequences.
        MaxSeqLength = options.Data.MaxSeqLength * (ObjectiveTable.Purpose(options.Objective) == RowPurpose.Pairs ? 2 : 1),
    };

    /// <summary>Rows of an evaluation's batch.</summary>
    public static int EvalRows(TrainingOptions options) => Math.Max(options.BatchSize, ObjectiveTable.LeastRows(options));
}
