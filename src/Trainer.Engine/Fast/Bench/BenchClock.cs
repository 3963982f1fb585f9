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

    internal static long Raw => ThreadTime ? ThreadClock.Nanoseconds : CpuTime ? Environment.CpuUsage.TotalTime.Ticks : Stopwatch.GetTimestamp();

    /// <summary>Takes ticks out of <see cref="Now"/>: those that a simulated team would not have taken.</summary>
    internal static void Skip(long ticks) => _skipped += ticks;

    /// <summary>Take the calling thread's own time: for work that is on one thread alone.</summary>
    internal static bool ThreadTime { get; set; }

    private static double PerSecond => ThreadTime ? 1e9 : CpuTime ? TimeSpan.TicksPerSecond : Stopwatch.Frequency;

    internal static long Ticks(double seconds) => (long)(seconds * PerSecond);

    internal static double Seconds(long ticks) => ticks / PerSecond;

    internal static double Since(long start) => Seconds(Now - start);
}
