namespace Trainer.Distributed;

/// <summary>A run of one process: every sum is the value itself.</summary>
public sealed class Alone : ICollective
{
    /// <inheritdoc/>
    public int Rank => 0;

    /// <inheritdoc/>
    public int Size => 1;

    /// <inheritdoc/>
    public void Sum(Span<float> values, Span<double> riders)
    {
        // One rank: the sum is what is there.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Holds nothing.
    }
}
