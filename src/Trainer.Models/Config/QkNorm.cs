namespace Trainer.Models.Config;

/// <summary>Normalisation of queries and keys.</summary>
public enum QkNorm
{
    /// <summary>None.</summary>
    None,
    /// <summary>Over each head (weight [head size]).</summary>
    PerHead,
    /// <summary>Over all heads together (weight [heads x head size]).</summary>
    FullWidth,
    /// <summary>Over each head, each with a weight of its own (weight [heads, head size]).</summary>
    OwnWeights,
    /// <summary>The same, the weights stored head by head.</summary>
    OwnWeightsByRow,
    /// <summary>Over each head, without a weight, and only in layers with a rotary embedding.</summary>
    Unit,
}
