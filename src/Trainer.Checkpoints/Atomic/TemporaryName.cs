using System.Diagnostics;

namespace Trainer.Checkpoints.Atomic;

/// <summary>
/// Names of what is not finished: ".NAME.tmp-PID-RANDOM" beside NAME, and ".NAME.old-PID-RANDOM" for what is being replaced or deleted.
/// The process id tells a leftover of a dead process from the work of a living one.
/// </summary>
internal static class TemporaryName
{
    internal const string New = "tmp", Old = "old";

    // In a container every run may be process 1: the number alone would take a predecessor's leftover for our own.
    private static readonly string Mine = Guid.NewGuid().ToString("n")[..8];

    internal static string Beside(string path, string kind)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return Path.Combine(Path.GetDirectoryName(full)!,
            $".{Path.GetFileName(full)}.{kind}-{Environment.ProcessId}-{Mine}{Guid.NewGuid().ToString("n")[..8]}");
    }

    /// <summary>Takes a temporary name apart; false for every other name.</summary>
    internal static bool TryParse(string fileName, out string target, out string kind, out bool isInUse)
    {
        (target, kind, isInUse) = ("", "", false);
        var dot = fileName.LastIndexOf('.');
        if (dot <= 1 || fileName[0] != '.') return false;
        var parts = fileName[(dot + 1)..].Split('-');
        if (parts.Length != 3 || parts[0] is not (New or Old) || !int.TryParse(parts[1], out var processId))
            return false;
        (target, kind) = (fileName[1..dot], parts[0]);
        isInUse = processId == Environment.ProcessId ? parts[2].StartsWith(Mine, StringComparison.Ordinal) : IsAlive(processId);
        return true;
    }

    private static bool IsAlive(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return !process.HasExited;
        }
        catch (Exception fault) when (fault is ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }
}
