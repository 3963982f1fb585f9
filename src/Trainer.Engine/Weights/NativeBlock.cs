using System.Runtime.InteropServices;

namespace Trainer.Engine.Weights;

/// <summary>Memory of our own outside the managed heap, 64-byte aligned or more.</summary>
internal sealed unsafe class NativeBlock : IDisposable
{
    private const long CacheLine = 64;

    // Size of a large page on x86 and arm64; disks' blocks divide it.
    private const long LargePage = 2 << 20;
    private byte* _start;

    public NativeBlock(long bytes)
        : this(bytes, CacheLine)
    {
    }

    private NativeBlock(long bytes, long alignment)
    {
        Length = bytes;
        _start = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(alignment, bytes), (nuint)alignment);
        MemoryNodes.Spread(_start, bytes);
    }

    ~NativeBlock() => Free();

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <summary>First byte.</summary>
    public byte* Start => _start != null ? _start : throw new ObjectDisposedException(nameof(NativeBlock));

    /// <summary>Whole large pages where the system gives them: a read past the page cache pins the pages it goes to, 512 times fewer this way.</summary>
    public static NativeBlock OnLargePages(long bytes)
    {
        var block = new NativeBlock((bytes + LargePage - 1) / LargePage * LargePage, LargePage);
        MappedPages.PreferLarge(block._start, block.Length);
        return block;
    }

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
