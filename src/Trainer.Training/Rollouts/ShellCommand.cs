using System.Diagnostics;

namespace Trainer.Training.Rollouts;

/// <summary>Lines that the system's shell runs.</summary>
public static class ShellCommand
{
    /// <summary>How a line is started.</summary>
    /// <param name="line">The line.</param>
    public static ProcessStartInfo Of(string line) =>
        OperatingSystem.IsWindows() ? new ProcessStartInfo("cmd.exe", ["/c", line]) : new ProcessStartInfo("/bin/sh", ["-c", line]);
}
