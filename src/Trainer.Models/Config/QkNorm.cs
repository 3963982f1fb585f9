namespace Trainer.Models;

/// <summary>Normalisation of queries and keys before the rotary embedding.</summary>
public enum QkNorm
{
    /// <summary>None.</summary>
    None,
    /// <summary>Root mean square over each head (weight [head size]).</summary>
    PerHead,
    /// <summary>Root mean square over all heads together (weight [heads x head size]).</summary>
    FullWidth,
}
