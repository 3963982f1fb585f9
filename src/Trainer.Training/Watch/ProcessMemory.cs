using System.Globalization;

namespace Trainer.Training;

/// <summary>Resident memory of this process, in bytes.</summary>
internal static class ProcessMemory
{
    /// <summary>Resident now.</summary>
    public static long Resident() => Status("VmRSS:") ?? Environment.WorkingSet;

    /// <summary>Resident now and backed by no file.</summary>
    public static long Anonymous() => Status("RssAnon:") ?? Environment.WorkingSet;

    /// <summary>The highest resident size since the process began.</summary>
    public static long Peak() => Status("VmHWM:") ?? Environment.WorkingSet;

    private static long? Status(string key) => Read("/proc/self/status", key);

    private static long? Read(string path, string key)
    {
        if (!OperatingSystem.IsLinux()) return null;
        try
        {
            foreach (var line in File.ReadLines(path))
                if (line.StartsWith(key, StringComparison.Ordinal))
                    return 1024 * long.Parse(line.AsSpan(key.Length).Trim().ToString().Split(' ')[0], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            // A sandbox may hide /proc; the callers have a second source.
        }
        return null;
    }
}
