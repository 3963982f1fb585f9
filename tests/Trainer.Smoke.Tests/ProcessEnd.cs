using System.Diagnostics;

namespace Trainer.Smoke.Tests;

/// <summary>How the tests wait for a process: never without a limit, so that a program that hangs is a failed test and not a hung test run.</summary>
internal static class ProcessEnd
{
    /// <summary>Waits for the end; a process that outlives the limit is killed with its children, and the test fails.</summary>
    public static void End(this Process process, int limitSeconds = 180)
    {
        if (process.WaitForExit(TimeSpan.FromSeconds(limitSeconds))) return;
        process.Kill(entireProcessTree: true);
        throw new TimeoutException($"'{process.StartInfo.FileName} {string.Join(' ', process.StartInfo.ArgumentList)}' did not end within {limitSeconds} s");
    }
}
