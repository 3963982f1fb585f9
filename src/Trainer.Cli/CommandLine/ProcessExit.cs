using System.Runtime.InteropServices;

namespace Trainer.Cli.CommandLine;

/// <summary>Ends the process while other threads are at work.</summary>
internal static partial class ProcessExit
{
    /// <summary>Ends it at once. A plain exit would first unload libraries that a training thread is computing in, which then ends by a signal.</summary>
    /// <param name="exitCode">What the process ends with.</param>
    public static void Now(int exitCode)
    {
        if (!OperatingSystem.IsWindows()) EndProcess(exitCode);
        Environment.Exit(exitCode);
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void EndProcess(int exitCode);
}
