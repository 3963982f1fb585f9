namespace Trainer.Models.Parts;

/// <summary>What a norm divides by.</summary>
public enum NormKind
{
    /// <summary>The root of the mean square.</summary>
    RootMeanSquare,
    /// <summary>The standard deviation, after the mean was taken off (LayerNorm).</summary>
    Layer,
}
