namespace Trainer.Distributed;

/// <summary>Ranks that sum where the values lie: in the memory of a card, without a way through the host.</summary>
public interface IDeviceCollective : ICollective
{
    /// <summary>The card of this rank, counted as its driver counts.</summary>
    int Device { get; }

    /// <summary>Replaces values in the card's memory by their sums over all ranks, after all work given to the default stream before.</summary>
    /// <param name="deviceValues">Address on the card of float32 values.</param>
    /// <param name="count">How many; the same on every rank.</param>
    /// <param name="riders">A few numbers of the host that travel with it.</param>
    /// <exception cref="CollectiveException">Another rank did not answer within the deadline, or the transport failed.</exception>
    void Sum(nint deviceValues, long count, Span<double> riders);
}
