namespace Trainer.Engine.Fast;

/// <summary>What the backward pass of one adapted linear needs of its forward pass; null where it has no such adapter.</summary>
internal readonly unsafe struct AdapterState(float* low, float* whole, float* norms)
{
    /// <summary>u = x' A^T (rows, rank).</summary>
    public float* Low { get; } = low;

    /// <summary>DoRA's z = W x' + s u B^T, what the magnitudes scale (rows, out).</summary>
    public float* Whole { get; } = whole;

    /// <summary>|W + s B A| of each row (out).</summary>
    public float* Norms { get; } = norms;
}
