using System.Globalization;

namespace Trainer.Numerics.Machine;

/// <summary>The counts of /proc, in bytes; null where a sandbox hides it.</summary>
internal static class LinuxMemory
{
    /// <summary>A line of /proc/meminfo.</summary>
    public static long? Machine(string key) => Read("/proc/meminfo", key);

    /// <summary>A line of /proc/self/status.</summary>
    public static long? Process(string key) => Read("/proc/self/status", key);

    private static long? Read(string path, string key)
    {
        try
        {
            foreach (var line in File.ReadLines(path))
            {
                if (line.StartsWith(key, StringComparison.Ordinal)
                    && long.TryParse(line.AsSpan(key.Length).Trim(" \tkB"), NumberStyles.None, CultureInfo.InvariantCulture, out var kibibytes))
                        return kibibytes * 1024;
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // The callers have a second source.
        }
        return null;
    }
}
