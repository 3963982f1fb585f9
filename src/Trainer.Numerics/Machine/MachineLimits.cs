using System.Globalization;

namespace Trainer.Numerics.Machine;

/// <summary>What this process may use of the machine: the one source for the plan, the watch on memory, the threads and what people are told.</summary>
public static class MachineLimits
{
    private static readonly Lazy<ControlGroup> AtStart = new(ControlGroup.Here);

    /// <summary>Processors: those that the process may run on, no more than its control group has time for. A quota of half a processor is one.</summary>
    public static int Processors => ProcessorsOf(Environment.ProcessorCount, AtStart.Value.Processors);

    /// <summary>Threads that compute where nobody says how many: one for each core, since siblings share a core's arithmetic, or what the environment names
    /// for libtorch's libraries; no more than <see cref="Processors"/>.</summary>
    public static int ComputeThreads => ComputeThreadsOf(Processors, ProcessorTopology.Here?.Cores,
        Environment.GetEnvironmentVariable("MKL_NUM_THREADS") ?? Environment.GetEnvironmentVariable("OMP_NUM_THREADS"));

    /// <summary>Memory in bytes: the machine's, or what its control group allows.</summary>
    public static long MemoryBytes => Math.Min(PhysicalBytes, AtStart.Value.MemoryLimitBytes ?? long.MaxValue);

    /// <summary>What the control group allows, in bytes; null where it sets no limit below the machine's memory.</summary>
    public static long? GroupLimitBytes => AtStart.Value.MemoryLimitBytes is { } limit && limit < PhysicalBytes ? limit : null;

    /// <summary>Memory that could be taken now without swapping, in bytes.</summary>
    public static long AvailableBytes
    {
        get
        {
            var group = ControlGroup.Here();
            var left = group.MemoryLimitBytes is { } limit ? Math.Max(0, limit - group.MemoryUsedBytes) : long.MaxValue;
            return Math.Min(left, SystemMemory.Available ?? MemoryBytes);
        }
    }

    // The collector's figure is its own limit, in a container three quarters of what there is; it serves where the system tells nothing else.
    private static long PhysicalBytes { get; } = SystemMemory.Physical ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>Threads for cores.</summary>
    /// <param name="processors">Processors that may be used.</param>
    /// <param name="cores">Cores that they belong to; null where that is not known.</param>
    /// <param name="wanted">What the environment says: a number, or one for each depth of nesting; null for nothing.</param>
    public static int ComputeThreadsOf(int processors, int? cores, string? wanted)
        => int.TryParse(wanted?.Split(',')[0].Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var threads) && threads > 0
            ? Math.Min(threads, processors) : Math.Clamp(cores ?? processors, 1, processors);

    /// <summary>Whole threads for a quota.</summary>
    /// <param name="visible">Processors that the process may run on.</param>
    /// <param name="quota">Processors' worth of time, or null.</param>
    public static int ProcessorsOf(int visible, double? quota)
        => quota is { } share ? Math.Clamp((int)Math.Ceiling(Math.Min(share, visible)), 1, visible) : visible;
}
