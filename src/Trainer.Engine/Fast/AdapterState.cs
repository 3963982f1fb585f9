namespace Trainer.Engine.Fast;

/// <summary>What the backward pass of one adapted linear needs of its forward pass.</summary>
internal readonly unsafe struct AdapterState
{
    /// <summary>Cuts the buffers.</summary>
    /// <param name="arena">Where from.</param>
    /// <param name="rows">Rows of the input.</param>
    /// <param name="size">What the adapter keeps.</param>
    public AdapterState(Arena arena, long rows, AdapterSize size)
    {
        Low = arena.Floats(rows * size.Rank);
        Whole = arena.Floats(rows * size.Magnitudes);
        Norms = arena.Floats(size.Magnitudes);
    }

    /// <summary>u = x' A^T (rows, rank).</summary>
    public float* Low { get; }

    /// <summary>DoRA's z = W x' + s u B^T, what the magnitudes scale (rows, out).</summary>
    public float* Whole { get; }

    /// <summary>|W + s B A| of each row (out).</summary>
    public float* Norms { get; }
}
