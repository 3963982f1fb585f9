using Trainer.Numerics.Machine;

namespace Trainer.Engine.Native;

/// <summary>What the system's page cache could hold.</summary>
internal static class PageCache
{
    // The rest is for the process itself and for others.
    private const double Share = 0.7;

    // A control group counts the cache of its processes as theirs.
    /// <summary>Whether files of that size would stay in memory between two readings.</summary>
    public static bool CouldHold(long bytes) => bytes <= Share * MachineLimits.AvailableBytes;
}
