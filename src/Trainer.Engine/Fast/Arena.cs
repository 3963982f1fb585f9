using System.Runtime.InteropServices;

namespace Trainer.Engine.Fast;

/// <summary>One block of memory that buffers are cut from, 64-byte aligned.</summary>
internal sealed unsafe class Arena : IDisposable
{
    /// <summary>Buffers begin at multiples of it.</summary>
    public const long Alignment = 64;

    private byte* _block;
    private readonly long _capacity;

    /// <summary>A block. Pages are touched by who uses them, so unused tails cost no resident memory.</summary>
    /// <param name="bytes">Capacity.</param>
    public Arena(long bytes)
    {
        _capacity = bytes;
        _block = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, (nuint)Alignment);
    }

    /// <summary>The first byte.</summary>
    public byte* Start => _block;

    /// <summary>Bytes handed out.</summary>
    public long Used { get; private set; }

    /// <summary>Bytes of the block.</summary>
    public long Capacity => _capacity;

    /// <summary>Room for floats, not cleared.</summary>
    public float* Floats(long count) => (float*)Bytes(count * sizeof(float));

    public void Dispose()
    {
        NativeMemory.AlignedFree(_block);
        _block = null;
    }

    private byte* Bytes(long count)
    {
        var at = Used;
        Used += (count + Alignment - 1) / Alignment * Alignment;
        if (Used > _capacity) throw new InvalidOperationException($"a buffer of {count} bytes does not fit the arena ({at} of {_capacity} in use)");
        return _block + at;
    }
}
