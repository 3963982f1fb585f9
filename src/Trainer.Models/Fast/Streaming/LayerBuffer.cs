using System.Runtime.InteropServices;

namespace Trainer.Models.Fast;

/// <summary>Room for one layer's bytes as they lie in the file, on large pages where the system gives them.</summary>
internal sealed unsafe partial class LayerBuffer : IDisposable
{
    private const int HugePage = 14;
    // Size of a large page on x86 and arm64; the disk's blocks divide it.
    private const nuint Alignment = 2 << 20;
    private byte* _start;

    public LayerBuffer(long bytes)
    {
        var length = ((nuint)bytes + Alignment - 1) / Alignment * Alignment;
        _start = (byte*)NativeMemory.AlignedAlloc(length, Alignment);
        // Each read pins the pages it goes to: 512 times fewer this way.
        if (OperatingSystem.IsLinux()) _ = Advise(_start, length, HugePage);
    }

    ~LayerBuffer() => Free();

    public byte* Start => _start;

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_start);
        _start = null;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
