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

    internal static long Raw => ThreadTime ? OfThread() : CpuTime ? Environment.CpuUsage.TotalTime.Ticks : Stopwatch.GetTimestamp();

    /// <summary>What of <see cref="Now"/> simulated teams went through in loops.</summary>
    internal static long Looped { get; private set; }

    /// <summary>A simulated team went through a loop: of the time until now it would have taken so many ticks.</summary>
    /// <param name="begun"><see cref="Raw"/> before the loop.</param>
    /// <param name="ticks">What the team takes.</param>
    internal static void PassLoop(long begun, long ticks)
    {
        Looped += ticks;
        _skipped += Raw - begun - ticks;
    }

    /// <summary>Take the calling thread's own time, less what asking for it takes: for work that is on one thread alone.</summary>
    internal static bool ThreadTime
    {
        get;
        set
        {
            field = value;
            (_asked, _cost) = (0, value ? ThreadClock.Cost() : 0);
        }
    }

    private static long _asked;
    private static long _cost;

    // A step is cut into thousands of chunks, and each is timed by two calls of the system.
    private static long OfThread() => ThreadClock.Nanoseconds - _cost * _asked++;

    private static double PerSecond => ThreadTime ? 1e9 : CpuTime ? TimeSpan.TicksPerSecond : Stopwatch.Frequency;

    internal static long Ticks(double seconds) => (long)(seconds * PerSecond);

    internal static double Seconds(long ticks) => ticks / PerSecond;

    internal static double Since(long start) => Seconds(Now - start);
}
