namespace Trainer.Training.Objectives;

/// <summary>How answers are compared; read by the preference objectives alone.</summary>
public sealed record PreferenceOptions
{
    /// <summary>Loss types, added up; empty takes the objective's first.</summary>
    public IReadOnlyList<string> LossType { get; init; } = [];

    /// <summary>Weight of each loss type; empty is 1 each.</summary>
    public IReadOnlyList<double> LossWeights { get; init; } = [];

    /// <summary>Strength of the pull towards the reference, and scale of the rewards.</summary>
    public double Beta { get; init; } = 0.1;

    /// <summary>The reference: base, adapter (a frozen copy of the continued one) or none; null takes the adapter where one is continued, else the
    /// base.</summary>
    public string? Reference { get; init; }

    /// <summary>Ask the reference about every row once, before the first step.</summary>
    public bool PrecomputeReference { get; init; }

    /// <summary>SimPO's target margin.</summary>
    public double SimpoGamma { get; init; } = 0.5;

    /// <summary>What tokens beyond the shorter answer's length count (LD-DPO); null is 1.</summary>
    public double? LdAlpha { get; init; }

    /// <summary>Weight of the chosen answers' cross entropy, as a mean of row means (LLaMA-Factory's pref_ftx).</summary>
    public double PrefFtx { get; init; }

    /// <summary>Weight of the chosen answers' cross entropy, as a mean over the micro-batch's tokens (TRL's cpo_alpha and rpo_alpha).</summary>
    public double NllWeight { get; init; }

    /// <summary>KTO's weight of desirable rows.</summary>
    public double DesirableWeight { get; init; } = 1;

    /// <summary>KTO's weight of undesirable rows.</summary>
    public double UndesirableWeight { get; init; } = 1;
}
