using System.Globalization;

namespace Trainer.Checkpoints.Runs;

/// <summary>Asks the disk before writing to it.</summary>
public static class DiskSpace
{
    /// <summary>Bytes this user may still write where a path lies or will lie; null where the system does not tell.</summary>
    public static long? Free(string path)
    {
        var existing = Path.GetFullPath(path);
        while (existing is not null && !Directory.Exists(existing)) existing = Path.GetDirectoryName(existing);
        try
        {
            return existing is null ? null : new DriveInfo(existing).AvailableFreeSpace;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>The disk on which a path lies or will lie, by its size and what is free of it; null where the system does not tell.</summary>
    public static (long Total, long Free)? Identity(string path)
    {
        var existing = Path.GetFullPath(path);
        while (existing is not null && !Directory.Exists(existing)) existing = Path.GetDirectoryName(existing);
        try
        {
            return existing is null ? null : new DriveInfo(existing) is var drive ? (drive.TotalSize, drive.AvailableFreeSpace) : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>Refuses before anything is written where a thing would not fit.</summary>
    /// <param name="path">Where it will be written.</param>
    /// <param name="neededBytes">What it takes, temporary files included.</param>
    /// <param name="what">What it is, as the sentence names it, e.g. "a checkpoint".</param>
    /// <exception cref="CannotWriteException">Fewer bytes are free.</exception>
    public static void Require(string path, long neededBytes, string what)
    {
        if (Free(path) is long free && free < neededBytes)
        {
            throw new CannotWriteException($"cannot write '{path}': {what} needs {Size(neededBytes)}, {Size(free)} are free on that disk; free some space or "
                + "choose another --output-dir");
        }
    }

    private static string Size(long bytes) => bytes switch
    {
        >= 1L << 30 => (bytes / (double)(1L << 30)).ToString("0.0", CultureInfo.InvariantCulture) + " GiB",
        >= 1L << 20 => (bytes / (double)(1L << 20)).ToString("0.0", CultureInfo.InvariantCulture) + " MiB",
        _ => bytes.ToString(CultureInfo.InvariantCulture) + " bytes",
    };
}
