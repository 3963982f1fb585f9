namespace Trainer.Distributed;

/// <summary>The ranks of a run. Every call but <see cref="Abort"/> is made by all ranks, in the same order, from the training thread.</summary>
/// <exception cref="CollectiveException">Thrown by each call: another rank did not answer within the deadline, or the transport failed.</exception>
public interface ICollective : IDisposable
{
    /// <summary>This process, from 0. Rank 0 alone writes, logs and draws.</summary>
    int Rank { get; }

    /// <summary>How many processes take part.</summary>
    int Size { get; }

    /// <summary>This process among those of its machine, from 0.</summary>
    int LocalRank { get; }

    /// <summary>How many processes of the run are on this machine.</summary>
    int LocalSize { get; }

    /// <summary>The transport in words, for the first line of a run.</summary>
    string Description { get; }

    /// <summary>Replaces all values by their sums over all ranks, so that every rank holds the same bits. Once a step.</summary>
    /// <param name="values">The flat gradient; the same length on every rank.</param>
    /// <param name="riders">A few numbers that travel with it: the loss, metrics, whether a rank was asked to stop. The same length on every rank.</param>
    void Sum(Span<float> values, Span<double> riders);

    /// <summary>Replaces the bytes of every rank by those of rank 0.</summary>
    /// <param name="bytes">The same length on every rank.</param>
    void Broadcast(Span<byte> bytes);

    /// <summary>Collects a few bytes of each rank on every rank.</summary>
    /// <param name="mine">This rank's; the same length on every rank.</param>
    /// <param name="all">Size times as many, in rank order.</param>
    void Gather(ReadOnlySpan<byte> mine, Span<byte> all);

    /// <summary>Waits for all ranks.</summary>
    void Barrier();

    /// <summary>Ends all ranks at once with an exit code: what a rank that failed does, so that none waits for it. Does not return where there are
    /// others.</summary>
    /// <param name="exitCode">The exit code of the launcher.</param>
    void Abort(int exitCode);
}
