using System.Diagnostics;

namespace Trainer.Engine.Fast.Bench;

/// <summary>What measurements are taken by: wall time, or the process's CPU time, which says something on a busy machine (with one thread).</summary>
public static class BenchClock
{
    /// <summary>Take CPU time instead of wall time.</summary>
    public static bool CpuTime { get; set; }

    private static long _skipped;

    /// <summary>The time, less what was skipped.</summary>
    internal static long Now => Raw - _skipped;

    internal static long Raw => CpuTime ? Environment.CpuUsage.TotalTime.Ticks : Stopwatch.GetTimestamp();

    /// <summary>Takes ticks out of <see cref="Now"/>: those that a simulated team would not have taken.</summary>
    internal static void Skip(long ticks) => _skipped += ticks;

    internal static long Ticks(double seconds) => (long)(seconds * (CpuTime ? TimeSpan.TicksPerSecond : Stopwatch.Frequency));

    internal static double Seconds(long ticks) => ticks / (double)(CpuTime ? TimeSpan.TicksPerSecond : Stopwatch.Frequency);

    internal static double Since(long start) => Seconds(Now - start);
}
