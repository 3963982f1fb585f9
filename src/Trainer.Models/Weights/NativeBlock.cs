using System.Runtime.InteropServices;

namespace Trainer.Models;

/// <summary>Memory of our own outside the managed heap, 64-byte aligned.</summary>
internal sealed unsafe class NativeBlock : IDisposable
{
    private byte* _start;

    public NativeBlock(long bytes)
    {
        Length = bytes;
        _start = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(64, bytes), 64);
    }

    ~NativeBlock() => Free();

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <summary>First byte.</summary>
    public byte* Start => _start != null ? _start : throw new ObjectDisposedException(nameof(NativeBlock));

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
}
