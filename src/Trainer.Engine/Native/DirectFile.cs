using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Trainer.Models;

namespace Trainer.Engine.Native;

/// <summary>A file read past the page cache (O_DIRECT): whole blocks into aligned memory, without a copy by the kernel.</summary>
internal sealed unsafe partial class DirectFile : IBlockFile
{
    /// <summary>Offsets, lengths and addresses must be multiples of this; no disk in use asks for more.</summary>
    public const long Block = 4096;

    private const int CloseOnExec = 0x80000;
    private const int Interrupted = 4;
    // Large enough that a disk works at its full rate, small enough to stop soon.
    private const long Part = 8 << 20;
    private readonly SafeFileHandle _handle;

    private DirectFile(string path, SafeFileHandle handle) => (Path, _handle) = (path, handle);

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Opens a file, or gives null where system or file system refuse reads past the page cache (tmpfs, some network mounts).</summary>
    public static DirectFile? TryOpen(string path)
    {
        if (!OperatingSystem.IsLinux()) return null;
        var file = Open(path, Flag);
        if (file is null) return null;
        var block = NativeMemory.AlignedAlloc((nuint)Block, (nuint)Block);
        try
        {
            // Some file systems take the flag and refuse the first read.
            if (PRead(file._handle, block, (nuint)Block, 0) > 0) return file;
        }
        finally
        {
            NativeMemory.AlignedFree(block);
        }
        file.Dispose();
        return null;
    }

    /// <summary>The same reads through the page cache, with the same rules.</summary>
    internal static DirectFile? OpenCached(string path) => Open(path, 0);

    public void Read(long offset, byte* target, long length, long needed, CancellationToken stop)
    {
        for (long at = 0; at < needed;)
        {
            stop.ThrowIfCancellationRequested();
            var got = PRead(_handle, target + at, (nuint)Math.Min(Part, length - at), offset + at);
            if (got < 0)
            {
                var error = Marshal.GetLastPInvokeError();
                if (error == Interrupted) continue;
                throw new ModelException($"cannot read '{Path}' at byte {offset + at}: {Marshal.GetPInvokeErrorMessage(error)}; check the disk, the run can "
                    + "be resumed");
            }
            at += got;
            // Less than whole blocks comes at the end of the file alone.
            if (got == 0 || (got % Block != 0 && at < needed))
                throw new ModelException($"'{Path}' ends at byte {offset + at} while it is being streamed, {offset + needed} are needed; copy or download it "
                    + "again");
        }
    }

    public void Dispose() => _handle.Dispose();

    private static int Flag => RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x10000 : 0x4000;

    private static DirectFile? Open(string path, int flags)
    {
        var descriptor = OpenFile(path, flags | CloseOnExec);
        return descriptor < 0 ? null : new DirectFile(path, new SafeFileHandle(descriptor, ownsHandle: true));
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    private static partial nint PRead(SafeFileHandle file, void* target, nuint count, long offset);
}
