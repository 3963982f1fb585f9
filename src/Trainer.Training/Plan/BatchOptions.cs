using Trainer.Data;
using Trainer.Data.Batching;
using Trainer.Training.Objectives;

namespace Trainer.Training.Plan;

/// <summary>How a run's options cut rows into micro-batches: one answer for the plan and the run.</summary>
internal static class BatchOptions
{
    public static BatchPlanOptions Of(TrainingOptions options) => new()
    {
        // Of prompts a step's are taken at once: its micro-batches are cut from their answers.
        BatchSize = MakesAnswers(options) ? PromptsOfStep(options) : options.BatchSize,
        MicroBatchesPerStep = MakesAnswers(options) ? 1 : options.GradientAccumulationSteps,
        Seed = options.DataSeed ?? options.Seed,
        Shuffle = options.Shuffle,
        GroupByLength = options.GroupByLength && !MakesAnswers(options),
        Packing = options.Packing,
        // A pair is two sequences.
        MaxSeqLength = options.Data.MaxSeqLength * (ObjectiveTable.Purpose(options.Objective) == RowPurpose.Pairs ? 2 : 1),
    };

    /// <summary>Rows of an evaluation's batch.</summary>
    public static int EvalRows(TrainingOptions options) =>
        MakesAnswers(options) ? PromptsOfStep(options) : Math.Max(options.BatchSize, ObjectiveTable.LeastRows(options));

    /// <summary>Optimizer steps that the rows of one serve.</summary>
    public static int StepsOfRows(TrainingOptions options) => MakesAnswers(options) ? options.Grpo.NumIterations : 1;

    private static bool MakesAnswers(TrainingOptions options) => ObjectiveTable.Purpose(options.Objective) == RowPurpose.Prompts;

    private static int PromptsOfStep(TrainingOptions options) =>
        Math.Max(1, options.BatchSize * options.GradientAccumulationSteps / options.Grpo.NumGenerations);
}
