namespace Trainer.Checkpoints.Atomic;

/// <summary>
/// Writes a folder so that its name always shows a whole folder: temporary sibling, flush of every file and folder, verification, rename, flush
/// of the parent. After a fault nothing of it is left; after a kill the leftover is recognised by its name and cleaned by <see cref="CleanLeftovers"/>.
/// </summary>
public static class AtomicFolder
{
    private const string AsideMark = ".aside";

    /// <summary>Lets a caller fill a temporary folder, verifies it and gives it its name.</summary>
    /// <param name="path">The final name. An existing folder is replaced: put aside first, deleted last.</param>
    /// <param name="fill">Writes and closes every file of the folder it is given.</param>
    /// <param name="verify">Throws where the flushed folder is not right; null for no check.</param>
    /// <exception cref="CannotWriteException">Full disk, no right, read-only place.</exception>
    public static void Write(string path, Action<string> fill, Action<string>? verify = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(fill);
        string target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)), temporary = TemporaryName.Beside(path, TemporaryName.New);
        try
        {
            CleanLeftovers(Path.GetDirectoryName(target)!, Path.GetFileName(target));
            Directory.CreateDirectory(temporary);
            fill(temporary);
            Flush(temporary);
            verify?.Invoke(temporary);
            Publish(temporary, target);
        }
        catch (Exception fault)
        {
            TryDelete(temporary);
            if (WriteFault.Covers(fault)) throw WriteFault.Of(path, fault);
            throw;
        }
    }

    /// <summary>Makes every file and folder below a folder outlive a power cut.</summary>
    public static void Flush(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            NativeFile.FlushFile(file);
        foreach (var inner in Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories).Append(folder))
            NativeFile.FlushFolder(inner);
    }

    /// <summary>Deletes a folder so that a kill half-way leaves no folder of that name: first renamed, then emptied.</summary>
    public static void Delete(string path)
    {
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        try
        {
            File.Delete(Path.Combine(target, AsideMark));
            var doomed = TemporaryName.Beside(target, TemporaryName.Old);
            Directory.Move(target, doomed);
            NativeFile.FlushFolder(Path.GetDirectoryName(target)!);
            Directory.Delete(doomed, recursive: true);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(path, fault);
        }
    }

    /// <summary>
    /// Deletes what killed processes left unfinished in a folder, and puts back a folder that was put aside for one that never came.
    /// What a living process is writing stays. Returns the names cleaned.
    /// </summary>
    /// <param name="parent">The folder that holds the finished ones.</param>
    /// <param name="only">Clean what was to become this name alone; null for all.</param>
    public static IReadOnlyList<string> CleanLeftovers(string parent, string? only = null)
    {
        var cleaned = new List<string>();
        if (!Directory.Exists(parent)) return cleaned;
        try
        {
            foreach (var path in Directory.EnumerateFileSystemEntries(parent, ".*").Order(StringComparer.Ordinal).ToList())
            {
                var name = Path.GetFileName(path);
                if (!TemporaryName.TryParse(name, out var target, out var kind, out var isInUse) || isInUse || (only is not null && target != only))
                    continue;
                var restored = Path.Combine(parent, target);
                if (kind == TemporaryName.Old && !Directory.Exists(restored) && File.Exists(Path.Combine(path, AsideMark)))
                {
                    Directory.Move(path, restored);
                    File.Delete(Path.Combine(restored, AsideMark));
                }
                else if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
                else File.Delete(path);
                cleaned.Add(name);
            }
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(parent, fault);
        }
        return cleaned;
    }

    private static void Publish(string temporary, string target)
    {
        var parent = Path.GetDirectoryName(target)!;
        if (!Directory.Exists(target))
        {
            Directory.Move(temporary, target);
            NativeFile.FlushFolder(parent);
            return;
        }
        // The mark goes in first: a folder put aside with it is whole and may be put back, one without it was on its way out.
        var aside = TemporaryName.Beside(target, TemporaryName.Old);
        File.WriteAllBytes(Path.Combine(target, AsideMark), []);
        Directory.Move(target, aside);
        try
        {
            Directory.Move(temporary, target);
        }
        catch
        {
            Directory.Move(aside, target);
            File.Delete(Path.Combine(target, AsideMark));
            throw;
        }
        NativeFile.FlushFolder(parent);
        File.Delete(Path.Combine(aside, AsideMark));
        Directory.Delete(aside, recursive: true);
    }

    private static void TryDelete(string path)
    {
        try
        {
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            // The first fault is the one to report; a leftover is recognised by its name and cleaned later.
        }
    }
}
