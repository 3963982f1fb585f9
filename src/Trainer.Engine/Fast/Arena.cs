using System.Runtime.InteropServices;

namespace Trainer.Engine.Fast;

/// <summary>One block of memory that buffers are cut from, 64-byte aligned; without a block it only counts, so a layout's size is known before it exists.</summary>
internal sealed unsafe class Arena : IDisposable
{
    private const long Alignment = 64;
    private byte* _block;
    private readonly long _capacity;

    /// <summary>Counts only: every pointer it gives is null.</summary>
    public Arena()
    {
    }

    /// <summary>A real block. Pages are touched by who uses them, so unused tails cost no resident memory.</summary>
    /// <param name="bytes">Capacity.</param>
    public Arena(long bytes)
    {
        _capacity = bytes;
        _block = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, (nuint)Alignment);
    }

    /// <summary>Bytes handed out.</summary>
    public long Used { get; private set; }

    /// <summary>Bytes of the block.</summary>
    public long Capacity => _capacity;

    /// <summary>Room for floats, not cleared.</summary>
    public float* Floats(long count) => (float*)Bytes(count * sizeof(float));

    /// <summary>Room for 32-bit integers, not cleared.</summary>
    public int* Ints(long count) => (int*)Bytes(count * sizeof(int));

    /// <summary>Room for signed bytes, not cleared.</summary>
    public sbyte* Codes(long count) => (sbyte*)Bytes(count);

    /// <summary>Room for 16-bit values, not cleared.</summary>
    public ushort* Halves(long count) => (ushort*)Bytes(count * sizeof(ushort));

    /// <summary>Room for doubles, not cleared.</summary>
    public double* Doubles(long count) => (double*)Bytes(count * sizeof(double));

    /// <summary>Hands the whole block out anew.</summary>
    public void Reset() => Used = 0;

    public void Dispose()
    {
        NativeMemory.AlignedFree(_block);
        _block = null;
    }

    private byte* Bytes(long count)
    {
        var at = Used;
        Used += (count + Alignment - 1) / Alignment * Alignment;
        if (_block == null) return null;
        if (Used > _capacity) throw new InvalidOperationException($"a buffer of {count} bytes does not fit the arena ({at} of {_capacity} in use)");
        return _block + at;
    }
}
