using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Numerics.Spans;

/// <summary>
/// An array whose length is 64-bit, filled with 0, outside the collector's heap: the system gives pages as they are touched, and nobody clears them first.
/// It has an owner, who disposes of it when no view of it is used any more.
/// </summary>
/// <typeparam name="T">A number.</typeparam>
public sealed unsafe class LongArray<T> : ILongMemory
    where T : unmanaged
{
    private T* _first;

    /// <summary>Elements of 0.</summary>
    /// <param name="length">How many.</param>
    /// <exception cref="OutOfMemoryException">The system has not so much.</exception>
    public LongArray(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Length = length;
        _first = (T*)NativeMemory.AllocZeroed((nuint)length, (nuint)sizeof(T));
    }

    /// <summary>Elements.</summary>
    public long Length { get; }

    /// <summary>All elements.</summary>
    /// <exception cref="ObjectDisposedException">They are gone.</exception>
    public LongSpan<T> All
    {
        get
        {
            ObjectDisposedException.ThrowIf(_first == null, this);
            return new LongSpan<T>(_first, Length);
        }
    }

    /// <inheritdoc/>
    public LongSpan<byte> Bytes => new(ref Unsafe.As<T, byte>(ref All.GetPinnableReference()), Length * sizeof(T));

    /// <summary>One element.</summary>
    /// <param name="index">From 0.</param>
    public ref T this[long index] => ref All[index];

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.Free(_first);
        _first = null;
    }
}
