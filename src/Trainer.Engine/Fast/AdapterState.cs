using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>What the backward pass of one adapted linear needs of its forward pass; none where it has no such adapter.</summary>
internal readonly struct AdapterState(Place low, Place whole, Place norms)
{
    /// <summary>u = x' A^T (rows, rank).</summary>
    public Place Low { get; } = low;

    /// <summary>DoRA's z = W x' + s u B^T, what the magnitudes scale (rows, out).</summary>
    public Place Whole { get; } = whole;

    /// <summary>|W + s B A| of each row (out).</summary>
    public Place Norms { get; } = norms;
}
