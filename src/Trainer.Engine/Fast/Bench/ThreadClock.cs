using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Engine.Fast.Bench;

/// <summary>Time that the calling thread computed, so that other programs beside it do not count. Where the system is not Linux it is wall time.</summary>
internal static partial class ThreadClock
{
    private const int ThreadCpuTime = 3;

    /// <summary>Nanoseconds since the thread began.</summary>
    public static long Nanoseconds => OperatingSystem.IsLinux() && Read(ThreadCpuTime, out var time) == 0
        ? time.Seconds * 1_000_000_000 + time.Nanoseconds : Stopwatch.GetTimestamp() * (1_000_000_000 / Stopwatch.Frequency);

    /// <summary>Nanoseconds that asking takes: the least of many.</summary>
    public static long Cost()
    {
        var least = long.MaxValue;
        for (var i = 0; i < 1000; i++)
        {
            var start = Nanoseconds;
            least = Math.Min(least, Nanoseconds - start);
        }
        return Math.Max(0, least);
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int Read(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TimeSpec
    {
        public readonly long Seconds;
        public readonly long Nanoseconds;
    }
}
