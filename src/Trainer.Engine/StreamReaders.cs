using Trainer.Numerics.Machine;

namespace Trainer.Engine;

/// <summary>The processes of one machine that read the same streamed base. All of them decide alike, so that what goes through the page cache is read from the
/// disk once for all.</summary>
/// <param name="Count">How many; they visit the same layers at about the same time.</param>
/// <param name="AvailableBytes">Memory that can be taken without swapping: the least that any of them saw.</param>
public sealed record StreamReaders(int Count, long AvailableBytes)
{
    // The rest is for the processes themselves and for others.
    private const double Share = 0.7;

    // Measured (decision 0006): past the page cache a base that does not fit is read at 2.7 GB/s, but by each reader anew; through the mapping, where the
    // system has to give up a page for each one it brings in, at 1 GB/s for all readers together.
    private const double PastCacheRate = 2.7, ThroughCacheRate = 1;

    /// <summary>This process alone.</summary>
    public static StreamReaders Alone => new(1, MachineLimits.AvailableBytes);

    /// <summary>Whether the page cache could hold files of that size between two readings. A control group counts the cache of its processes as
    /// theirs.</summary>
    /// <param name="bytes">Bytes of all layers.</param>
    public bool CacheHolds(long bytes) => bytes <= Share * AvailableBytes;

    /// <summary>Whether reading past the page cache is the faster way.</summary>
    /// <param name="bytes">Bytes of all layers.</param>
    public bool ReadPastTheCache(long bytes) => !CacheHolds(bytes) && PastCacheRate / Count > ThroughCacheRate;
}
