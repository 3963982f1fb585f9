namespace Trainer.Models.Parts;

/// <summary>A norm, described by data.</summary>
/// <param name="Epsilon">Added to the mean square or the variance.</param>
public sealed record NormConfig(double Epsilon)
{
    /// <summary>What it divides by.</summary>
    public NormKind Kind { get; init; }

    /// <summary>The weight is stored minus one.</summary>
    public bool WeightPlusOne { get; init; }

    /// <summary>There is a bias beside the weight.</summary>
    public bool HasBias { get; init; }
}
