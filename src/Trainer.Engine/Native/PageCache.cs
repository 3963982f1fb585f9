using System.Globalization;

namespace Trainer.Engine.Native;

/// <summary>What the system's page cache could hold.</summary>
internal static class PageCache
{
    // The rest is for the process itself and for others.
    private const double Share = 0.7;

    /// <summary>Whether files of that size would stay in memory between two readings.</summary>
    public static bool CouldHold(long bytes) => bytes <= Share * Available();

    private static long Available()
    {
        // A control group counts the cache of its processes as theirs.
        var limit = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (!OperatingSystem.IsLinux()) return limit;
        try
        {
            const string key = "MemAvailable:";
            foreach (var line in File.ReadLines("/proc/meminfo"))
                if (line.StartsWith(key, StringComparison.Ordinal))
                    return Math.Min(limit, 1024 * long.Parse(line.AsSpan(key.Length).Trim(" kB"), CultureInfo.InvariantCulture));
        }
        catch (IOException)
        {
            // A sandbox may hide /proc.
        }
        return limit;
    }
}
