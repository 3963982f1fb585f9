using System.Buffers.Binary;
using Trainer.Distributed;
using Trainer.Numerics.Machine;

namespace Trainer.Training.Plan;

/// <summary>The memory that a run is held against: a machine's, and how many ranks of the run divide it.</summary>
/// <param name="MachineBytes">What the machine, or its control group, has.</param>
/// <param name="Ranks">How many ranks are on it. Pages of a base that is mapped from its files are there once; all else each rank has for itself.</param>
public sealed record MemoryShare(long MachineBytes, int Ranks = 1)
{
    /// <summary>This machine for one process.</summary>
    public static MemoryShare Here => new(MachineLimits.MemoryBytes);

    /// <summary>What one rank may hold, pages that it shares included.</summary>
    /// <param name="sharedBytes">Pages that all ranks of the machine hold together.</param>
    public long LimitBytes(long sharedBytes)
        => Ranks == 1 ? MachineBytes : Math.Min(MachineBytes, sharedBytes + Math.Max(0, MachineBytes - sharedBytes) / Ranks);

    /// <summary>The smallest share of all ranks, the same on each of them, so that all plan the same run.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <exception cref="CollectiveException">Another rank did not answer.</exception>
    public static MemoryShare Least(ICollective ranks)
    {
        ArgumentNullException.ThrowIfNull(ranks);
        if (ranks.Size == 1) return Here;
        const int Bytes = 2 * sizeof(long);
        Span<byte> mine = stackalloc byte[Bytes];
        BinaryPrimitives.WriteInt64LittleEndian(mine, MachineLimits.MemoryBytes);
        BinaryPrimitives.WriteInt64LittleEndian(mine[sizeof(long)..], ranks.LocalSize);
        var all = new byte[ranks.Size * Bytes];
        ranks.Gather(mine, all);
        return all.Chunk(Bytes).Select(share => new MemoryShare(BinaryPrimitives.ReadInt64LittleEndian(share),
            (int)BinaryPrimitives.ReadInt64LittleEndian(share.AsSpan(sizeof(long)))))
            .MinBy(share => share.MachineBytes / share.Ranks)!;
    }
}
