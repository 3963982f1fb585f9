using System.Diagnostics;
using Trainer.Data;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Training.Objectives;
using Trainer.Training.Records;
using Trainer.Training.Rollouts;
using Trainer.Training.Steps;

namespace Trainer.Training.Plan;

/// <summary>Gives a plan its time: runs micro-steps of the real model, forward and backward, and throws what they computed away.</summary>
public static class PlanProbe
{
    // Below this a first micro-step is mostly the start of the machinery and says little of the second.
    private const double ShortSeconds = 2;

    private const double WarmSeconds = 1.5;
    private const int MostPasses = 100;

    /// <summary>The plan with the measured seconds of its largest micro-batch and, where the steps are known, of the whole run.</summary>
    /// <param name="options">The run; its model folder holds the weights.</param>
    /// <param name="plan">Its plan, which fits.</param>
    /// <param name="dataset">The data, or null to measure on rows of <c>--max-seq-length</c> tokens.</param>
    /// <param name="observers">Hear of loading.</param>
    /// <param name="secondsBefore">What this process did already that the run does too.</param>
    /// <exception cref="PlanRefusedException">The measured peak is above the limit.</exception>
    /// <exception cref="ModelException">The weights are not here as they would be used.</exception>
    public static RunPlan Measure(TrainingOptions options, RunPlan plan, Dataset? dataset, IReadOnlyList<ITrainingObserver> observers,
        double secondsBefore = 0)
    {
        StreamedFolder.RequireMade(options, plan);
        var clock = Stopwatch.StartNew();
        using var model = AdaptedModel.Load(RunPlanner.Settle(options, plan), new Events(observers), plan.StreamBytes);
        var start = secondsBefore + clock.Elapsed.TotalSeconds + PlanTime.HashSeconds(FolderBytes(options.ModelDirectory));
        if (dataset is null)
        {
            var full = options.Objective != "grpo" ? Full(options, model.VocabularySize)
                : AnswerBatch.Largest(options, options.Data.MaxSeqLength, ConfigLoader.Load(options.ModelDirectory).Positions, model.VocabularySize);
            var each = Seconds(options, full, model);
            Probe.RequireFits(full, plan);
            var fullStep = options.GradientAccumulationSteps * each;
            return plan.TotalSteps is { } count ? Timed(count, each, fullStep, each / full.TokenIds.Length)
                : plan with { MicroStepSeconds = each, StepSeconds = fullStep };
        }
        // Not disposed: it would close the caller's data.
        var data = new TrainingData(options, dataset);
        var longest = Probe.Largest(options, data, model.VocabularySize);
        var most = Seconds(options, longest, model);
        Probe.RequireFits(longest, plan);
        // How long answers are, and what rewarding them takes, nobody knows before.
        if (plan.TotalSteps is not { } steps || options.Objective == "grpo") return plan with { MicroStepSeconds = most };
        var usual = Probe.Asked(options, data.BatchAt(0.5));
        // Materialising the weights costs the same for a short micro-batch as for a long one: a line through two points, not one through zero.
        var (perToken, fixedPart) = (most / longest.TokenIds.Length, 0.0);
        if (usual.TokenIds.Length < longest.TokenIds.Length)
        {
            var less = Math.Min(Seconds(options, usual, model), most);
            perToken = (most - less) / (longest.TokenIds.Length - usual.TokenIds.Length);
            fixedPart = Math.Max(0, less - perToken * usual.TokenIds.Length);
        }
        var microBatches = (double)data.Plan.MicroBatches(0) / data.Plan.Steps(0);
        var meanTokens = dataset.Train.Tokens / (double)data.Plan.MicroBatches(0);
        var step = microBatches * (fixedPart + perToken * meanTokens);
        return Timed(steps, most, step, (fixedPart + perToken * meanTokens) / meanTokens);

        RunPlan Timed(long count, double micro, double each, double secondsPerToken)
        {
            // One row answers for the proof.
            var row = dataset is { Train.Count: > 0 } set ? (set.Train.Tokens + set.Train.Count - 1) / set.Train.Count : options.Data.MaxSeqLength;
            List<TimePart> parts =
            [
                // The first steps are slower by what the machinery takes to start, which they show themselves.
                new("start", start),
                new("steps", count * each),
                .. PlanTime.Besides(options, dataset, count, plan.StepsPerEpoch, plan.CheckpointBytes, plan.GradientCheckpointing, secondsPerToken),
                new("proof of the adapter", PlanTime.ProofSeconds(Math.Min(FinalAdapter.ProofTokens, row), secondsPerToken, plan.GradientCheckpointing)),
            ];
            return plan with { MicroStepSeconds = micro, StepSeconds = each, Seconds = parts.Sum(part => part.Seconds), Time = parts };
        }
    }

    private static long FolderBytes(string folder) => Directory.EnumerateFiles(folder, "*.safetensors").Sum(file => new FileInfo(file).Length);

    private static double Seconds(TrainingOptions options, MicroBatch batch, AdaptedModel model)
    {
        var clock = Stopwatch.StartNew();
        var times = new List<double> { Probe.Seconds(options, batch, model) };
        if (times[0] > ShortSeconds) return times[0];
        // Short ones grow faster over dozens of passes, while code is compiled again; a run has many more of them.
        do times.Add(Probe.Seconds(options, batch, model));
        while (clock.Elapsed.TotalSeconds < WarmSeconds && times.Count < MostPasses);
        var warm = times.Skip(times.Count / 2).Order().ToList();
        return warm[warm.Count / 2];
    }

    /// <summary>Rows as long as they may be; the time does not depend on what they say.</summary>
    private static MicroBatch Full(TrainingOptions options, int vocabularySize)
    {
        SegmentRole[] roles = ObjectiveTable.Purpose(options.Objective) switch
        {
            RowPurpose.Pairs => [SegmentRole.Chosen, SegmentRole.Rejected],
            RowPurpose.Feedback => [SegmentRole.Desirable],
            _ => [SegmentRole.Plain],
        };
        var ids = new int[options.Data.MaxSeqLength * roles.Length];
        for (var t = 0; t < ids.Length; t++) ids[t] = t * 7 % vocabularySize;
        var labels = ids.ToArray();
        // A row of its own begins where a label says what it is for.
        for (var side = 0; side < roles.Length; side++)
            if (roles[side] != SegmentRole.Plain) labels[side * options.Data.MaxSeqLength] = Example.MarkerOf(roles[side]);
        return MicroBatch.From([.. Enumerable.Repeat(new Example(ids, labels, 1, new RowSource("", 1)), options.BatchSize)]);
    }
}
