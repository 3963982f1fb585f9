using System.Diagnostics;

namespace Trainer.Cli.Machine;

/// <summary>How long this command runs already, the runtime's own start with it.</summary>
internal static class ProgramClock
{
    private static bool _isStarted;
    private static double _before;
    private static long _entered;

    /// <summary>A command begins; the first of a process has what the process did before it.</summary>
    public static void Enter()
    {
        using var process = Process.GetCurrentProcess();
        _before = _isStarted ? 0 : Math.Max(0, (DateTime.Now - process.StartTime).TotalSeconds);
        (_isStarted, _entered) = (true, Stopwatch.GetTimestamp());
    }

    /// <summary>Seconds since then.</summary>
    public static double Seconds => _before + Stopwatch.GetElapsedTime(_entered).TotalSeconds;
}
