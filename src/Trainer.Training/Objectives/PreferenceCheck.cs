using Trainer.Training.Records;
using Trainer.Training.Schedules;

namespace Trainer.Training.Objectives;

/// <summary>Refuses options that the objective does not read, or cannot carry out.</summary>
public static class PreferenceCheck
{
    /// <summary>The faults of a run's objective.</summary>
    /// <param name="options">The run.</param>
    public static IEnumerable<string> Faults(TrainingOptions options)
    {
        var (objective, preference) = (options.Objective, options.Preference);
        if (!ObjectiveTable.Names.Contains(objective))
        {
            yield return $"--objective '{objective}' is unknown; use one of {string.Join(", ", ObjectiveTable.Names)}";
            yield break;
        }
        var known = ObjectiveTable.LossTypes(objective);
        var types = preference.LossType.Count > 0 ? preference.LossType : [.. known.Take(1)];
        foreach (var type in preference.LossType.Where(type => !known.Contains(type)))
            yield return known.Count == 0 ? $"--loss-type {type}: --objective {objective} has one form only; leave it out"
                : $"--loss-type {type} is no loss of --objective {objective}; use one of {string.Join(", ", known)}";
        if (types.Count > 1 && objective != "dpo") yield return $"--loss-type: --objective {objective} takes one loss; keep one of {string.Join(", ", types)}";
        if (preference.LossWeights.Count > 0 && preference.LossWeights.Count != types.Count)
            yield return $"--loss-weights has {preference.LossWeights.Count} weights for {types.Count} of --loss-type; give one for each";
        if (types is ["sft"]) yield return "--loss-type sft alone compares nothing; add a loss over pairs, or pass --objective sft";
        if (preference.LossWeights.Any(weight => !double.IsFinite(weight) || weight < 0)) yield return "--loss-weights must be finite and not negative";
        if (!double.IsFinite(preference.Beta) || preference.Beta < 0 || preference.Beta == 0 && objective != "grpo")
            yield return $"--beta {preference.Beta} must be above 0";
        if (objective == "grpo")
            foreach (var fault in GrpoCheck.Faults(options)) yield return fault;
        if (options.LabelSmoothing is < 0 or >= 1 || objective != "sft" && options.LabelSmoothing >= 0.5)
            yield return $"--label-smoothing {options.LabelSmoothing} must lie from 0 to below {(objective == "sft" ? 1 : 0.5)}";
        if (options.LabelSmoothing > 0 && !ReadsSmoothing(objective, types))
            yield return objective == "dpo"
                ? $"--label-smoothing is not read by --loss-type {string.Join(", ", types)}; use conservative, robust or exo-pair"
                : $"--label-smoothing is not read by --objective {objective}; leave it out";
        if (types.Contains("exo-pair") && options.LabelSmoothing == 0) yield return "--loss-type exo-pair needs --label-smoothing above 0, such as 1e-3";
        if (objective == "kto" && types is not ["apo-zero-unpaired"] && options.BatchSize == 1 && !options.Packing)
            yield return "--objective kto compares each answer with that of another row of its micro-batch: --batch-size must be at least 2";
        if (preference.Reference is not null && !ObjectiveTable.HasReference(objective))
            yield return $"--reference is not read by --objective {objective}, which has none; leave it out";
        else if (preference.Reference == "adapter" && options.AdapterDirectory is null)
            yield return "--reference adapter means the adapter that --adapter continues, and none is continued; pass --reference base";
        if (preference.PrecomputeReference && objective == "grpo")
            yield return "--precompute-reference asks about rows beforehand, and --objective grpo makes its answers up; leave it out";
        else if (preference.PrecomputeReference && (!ObjectiveTable.HasReference(objective) || preference.Reference == "none"))
            yield return $"--precompute-reference: {(preference.Reference == "none" ? "--reference none" : $"--objective {objective}")} has no reference to "
                + "ask; leave it out";
        if (options.MetricForBestModel != EvalMetric.Loss)
        {
            IReadOnlyList<string> measured = [.. ObjectiveTable.Metrics(options), .. options.EvalMetrics];
            if (!measured.Contains(options.MetricForBestModel))
                yield return $"--metric-for-best-model {options.MetricForBestModel} is not measured by "
                    + $"--objective {objective}{(objective == "sft" ? " without --eval-metrics" : "")}; use one "
                    + $"of {string.Join(", ", measured.Prepend(EvalMetric.Loss))}";
            else if (!options.EvaluatesBetween)
                yield return $"--metric-for-best-model {options.MetricForBestModel} chooses between evaluations: it needs --eval-steps or --eval-strategy "
                    + "epoch";
            else if (options.LrScheduler == Plateau.Name && EvalMetric.IsGreaterBetter(options.MetricForBestModel)
                && !string.Equals(options.LrSchedulerArgs.GetValueOrDefault("mode"), "max", StringComparison.OrdinalIgnoreCase))
                yield return $"--lr-scheduler {Plateau.Name} would lower the rate while {options.MetricForBestModel} rises; pass --lr-scheduler-args mode=max";
        }
        if (preference.LdAlpha is < 0 or > 1) yield return $"--ld-alpha {preference.LdAlpha} must lie between 0 and 1";
    }

    private static bool ReadsSmoothing(string objective, IReadOnlyList<string> types) => objective switch
    {
        "sft" or "simpo" => true,
        "dpo" => types.Any(PairLoss.ReadsSmoothing),
        _ => false,
    };
}
