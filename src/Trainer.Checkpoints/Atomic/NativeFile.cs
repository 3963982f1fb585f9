using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Trainer.Checkpoints.Atomic;

/// <summary>
/// Opens a path with the C library's own open: .NET refuses to open a folder (which must be flushed after a rename) and takes an advisory
/// lock on every file it opens (so a locked file could not even be read).
/// </summary>
internal static partial class NativeFile
{
    private const int ReadOnly = 0;

    internal static SafeFileHandle? OpenRead(string path)
    {
        if (OperatingSystem.IsWindows()) return null;
        var descriptor = Open(path, ReadOnly);
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Makes names in a folder (new files, renames) outlive a power cut, where the system has a way to.</summary>
    internal static void FlushFolder(string folder)
    {
        using var handle = OpenRead(folder);
        if (handle is not null) RandomAccess.FlushToDisk(handle);
    }

    /// <summary>Hands a file to the disk; it may be one that this user may read only.</summary>
    internal static void FlushFile(string path)
    {
        using var handle = OpenRead(path) ?? File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        RandomAccess.FlushToDisk(handle);
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
