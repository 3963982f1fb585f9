namespace Trainer.Training.Objectives;

/// <summary>Refuses options that a run which learns from rewards cannot carry out.</summary>
public static class GrpoCheck
{
    /// <summary>The faults that lie in the options alone.</summary>
    /// <param name="options">The run.</param>
    public static IEnumerable<string> Faults(TrainingOptions options)
    {
        var grpo = options.Grpo;
        var answers = (long)options.BatchSize * options.GradientAccumulationSteps;
        if (grpo.NumGenerations >= 2 && answers % grpo.NumGenerations != 0)
            yield return $"--objective grpo learns from whole groups: --batch-size {options.BatchSize} x --gradient-accumulation-steps "
                + $"{options.GradientAccumulationSteps} is {answers} answers a step, no multiple of --num-generations {grpo.NumGenerations}; pass "
                + $"--batch-size {grpo.NumGenerations}, or --gradient-accumulation-steps {grpo.NumGenerations}";
        if (grpo.RewardWeights.Count > 0 && grpo.RewardWeights.Count != grpo.RewardCommands.Count)
            yield return $"--reward-weights has {grpo.RewardWeights.Count} weights for {grpo.RewardCommands.Count} of --reward-command; give one for each";
        if (grpo.RewardWeights.Any(weight => !double.IsFinite(weight))) yield return "--reward-weights must be finite";
        if (grpo.RewardCommands.Any(string.IsNullOrWhiteSpace)) yield return "--reward-command is empty; name a program";
        if (options.Packing) yield return "--packing fills bins with rows, and --objective grpo learns from answers that it makes up; leave it out";
        if (options.Preference.Beta == 0 && options.Preference.Reference is not null)
            yield return "--reference is read by --objective grpo with --beta above 0 alone; add --beta 0.04, or leave it out";
        if (options.Preference is { Beta: > 0, Reference: "none" })
            yield return "--beta is the pull towards a reference, and --reference none is none; pass --beta 0";
    }

    /// <summary>What a run lacks that a plan does not need.</summary>
    /// <param name="options">The run.</param>
    public static string? Missing(TrainingOptions options) => options.Objective != "grpo" || options.Grpo.RewardCommands.Count > 0 ? null
        : "--objective grpo needs --reward-command: a program that reads a line of JSON for each answer and writes its reward";
}
