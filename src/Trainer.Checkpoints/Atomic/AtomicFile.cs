using System.Text;

namespace Trainer.Checkpoints.Atomic;

/// <summary>
/// Writes a file so that its name always shows a whole file, the old one or the new one: temporary sibling, flush to disk, read again, rename,
/// flush of the folder. After a fault the old file is as it was and the sibling is gone.
/// </summary>
public static class AtomicFile
{
    /// <summary>Writes bytes, and compares them with what can be read back before they take the name.</summary>
    /// <exception cref="CannotWriteException">Full disk, no right, read-only place, or a disk that gives back other bytes.</exception>
    public static void WriteBytes(string path, ReadOnlySpan<byte> bytes) => WriteBytes(path, bytes, null);

    // "written" comes between writing and reading again: where a test plays the bad disk.
    internal static void WriteBytes(string path, ReadOnlySpan<byte> bytes, Action<string>? written)
    {
        var copy = bytes.ToArray();
        Write(path, temporary =>
        {
            File.WriteAllBytes(temporary, copy);
            written?.Invoke(temporary);
        }, temporary =>
        {
            if (!File.ReadAllBytes(temporary).AsSpan().SequenceEqual(copy))
                throw new CannotWriteException($"cannot write '{path}': what was read back differs from what was written; check the disk");
        });
    }

    /// <summary>Writes text as UTF-8 without a mark at its beginning.</summary>
    public static void WriteText(string path, string text) => WriteBytes(path, new UTF8Encoding(false, true).GetBytes(text));

    /// <summary>Lets a caller write the temporary file, then verifies it and gives it its name.</summary>
    /// <param name="path">The final name; an existing file is replaced.</param>
    /// <param name="fill">Writes and closes the file it is given.</param>
    /// <param name="verify">Throws where the flushed file is not right; null for no check.</param>
    public static void Write(string path, Action<string> fill, Action<string>? verify = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(fill);
        var temporary = TemporaryName.Beside(path, TemporaryName.New);
        try
        {
            AtomicFolder.CleanLeftovers(Path.GetDirectoryName(temporary)!, Path.GetFileName(path));
            fill(temporary);
            NativeFile.FlushFile(temporary);
            verify?.Invoke(temporary);
            File.Move(temporary, path, overwrite: true);
            NativeFile.FlushFolder(Path.GetDirectoryName(temporary)!);
        }
        catch (Exception fault)
        {
            TryDelete(temporary);
            if (WriteFault.Covers(fault)) throw WriteFault.Of(path, fault);
            throw;
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            // The first fault is the one to report; a leftover is recognised by its name and cleaned later.
        }
    }
}
