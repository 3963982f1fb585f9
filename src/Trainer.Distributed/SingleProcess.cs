namespace Trainer.Distributed;

/// <summary>A run of one process: every sum is the value itself.</summary>
public sealed class SingleProcess : ICollective
{
    /// <inheritdoc/>
    public int Rank => 0;

    /// <inheritdoc/>
    public int Size => 1;

    /// <inheritdoc/>
    public int LocalRank => 0;

    /// <inheritdoc/>
    public int LocalSize => 1;

    /// <inheritdoc/>
    public string Description => "one process";

    /// <inheritdoc/>
    public void Sum(Span<float> values, Span<double> riders)
    {
        // One rank: the sum is what is there.
    }

    /// <inheritdoc/>
    public void Broadcast(Span<byte> bytes)
    {
        // One rank: it has them already.
    }

    /// <inheritdoc/>
    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all) => mine.CopyTo(all);

    /// <inheritdoc/>
    public void Barrier()
    {
        // Nobody to wait for.
    }

    /// <inheritdoc/>
    public void Abort(int exitCode)
    {
        // Nobody else to end: the caller's exception ends this process.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Holds nothing.
    }
}
