using System.Diagnostics;

namespace Trainer.Engine.Fast.Bench;

/// <summary>What measurements are taken by: wall time, or the process's CPU time, which says something on a busy machine (with one thread).</summary>
public static class BenchClock
{
    /// <summary>Take CPU time instead of wall time.</summary>
    public static bool CpuTime { get; set; }

    internal static long Now => CpuTime ? Environment.CpuUsage.TotalTime.Ticks : Stopwatch.GetTimestamp();

    internal static double Seconds(long ticks) => ticks / (double)(CpuTime ? TimeSpan.TicksPerSecond : Stopwatch.Frequency);

    internal static double Since(long start) => Seconds(Now - start);
}
