using System.Diagnostics;
using System.Globalization;
using Trainer.Data;
using Trainer.Distributed;
using Trainer.Models.Families;
using Trainer.Numerics.Machine;
using Trainer.Training.Objectives;
using Trainer.Training.Records;
using Trainer.Training.Rollouts;
using Trainer.Training.Steps;

namespace Trainer.Training.Plan;

/// <summary>
/// Runs the micro-batch with the most tokens once before the first step, forward and backward, and throws its gradients away:
/// a run that would not fit ends now and not when that batch arrives, and its time is known.
/// </summary>
internal static class Probe
{
    /// <exception cref="PlanRefusedException">The measured peak is above the limit.</exception>
    public static RunPlan Measure(TrainingOptions options, RunPlan plan, TrainingData data, IAdaptedModel model, Events events)
    {
        var batch = Largest(options, data, model.VocabularySize);
        var seconds = Seconds(options, batch, model);
        var peak = RequireFits(batch, plan);
        var measured = RunPlanner.Plan(options, data.Dataset, seconds, plan.Share);
        events.Note($"the longest micro-batch ({batch.TokenIds.Length} tokens) "
            + $"took {seconds.ToString("0.00", CultureInfo.InvariantCulture)} s and {Size.Of(peak)} of memory");
        events.Emit(new Planned(measured));
        return measured;
    }

    /// <summary>A batch as the steps will get it: what the reference says is known by then where it is asked beforehand. The numbers are not, and do not matter
    /// here.</summary>
    public static MicroBatch Asked(TrainingOptions options, MicroBatch batch) =>
        options.Preference.PrecomputeReference ? batch.Told(new float[batch.TokenIds.Length]) : batch;

    /// <summary>The micro-batch with the most tokens; of answers that are made up, as many as it may come to have.</summary>
    public static MicroBatch Largest(TrainingOptions options, TrainingData data, int vocabularySize) => options.Objective != "grpo"
        ? Asked(options, data.LongestBatch())
        : AnswerBatch.Largest(options, data.Dataset.Train.Longest, ConfigLoader.Load(options.ModelDirectory).Positions, vocabularySize);

    /// <summary>The memory that the process holds after the largest micro-step.</summary>
    /// <exception cref="PlanRefusedException">It is above the limit.</exception>
    public static long RequireFits(MicroBatch batch, RunPlan plan)
    {
        var peak = SystemMemory.Resident;
        if (peak <= plan.MemoryLimitBytes) return peak;
        throw new PlanRefusedException(
            $"the longest micro-batch of {batch.TokenIds.Length} tokens takes {Size.Of(peak)} of memory, {Size.Of(plan.MemoryLimitBytes)} are allowed: "
            + "lower --batch-size or --max-seq-length, or pass --gradient-checkpointing on");
    }

    /// <summary>Seconds of one micro-step.</summary>
    public static double Seconds(TrainingOptions options, MicroBatch batch, IAdaptedModel model)
    {
        var clock = Stopwatch.StartNew();
        using var ranks = new SingleProcess();
        new TrainingStep(options, model, ObjectiveTable.Make(options, model), ranks).Rehearse(batch);
        return clock.Elapsed.TotalSeconds;
    }
}
