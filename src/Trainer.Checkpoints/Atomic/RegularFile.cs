using System.Runtime.InteropServices;

namespace Trainer.Checkpoints.Atomic;

/// <summary>
/// Tells files from pipes, sockets and devices before they are opened: a pipe without a writer would be waited for without end, and a device
/// such as /dev/zero never ends.
/// </summary>
public static partial class RegularFile
{
    // st_mode's kind of file, as every Unix has it.
    private const int KindMask = 0xF000, RegularKind = 0x8000, FolderKind = 0x4000;

    /// <summary>Whether there is something at a path that is neither a file nor a folder.</summary>
    public static bool IsOther(string path)
    {
        if (OperatingSystem.IsWindows()) return false;
        // .NET's own layer: flags and mode come first on every system; the rest is of no interest here.
        Span<int> status = stackalloc int[64];
        return Stat(path, ref MemoryMarshal.GetReference(status)) == 0 && (status[1] & KindMask) is not (RegularKind or FolderKind);
    }

    /// <summary>Refuses a pipe, a socket or a device.</summary>
    /// <exception cref="BadFileException">It is one.</exception>
    public static void Require(string path)
    {
        if (IsOther(path))
            throw new BadFileException($"'{path}' is no regular file but a pipe, a socket or a device; name a file, or put a copy in its place");
    }

    /// <summary>Refuses a folder that holds a pipe, a socket or a device beside its files.</summary>
    /// <exception cref="BadFileException">It holds one.</exception>
    public static void RequireAll(string folder)
    {
        if (!Directory.Exists(folder)) return;
        foreach (var path in Directory.EnumerateFileSystemEntries(folder)) Require(path);
    }

    [LibraryImport("libSystem.Native", EntryPoint = "SystemNative_Stat", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Stat(string path, ref int status);
}
