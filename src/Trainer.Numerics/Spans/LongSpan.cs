using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Numerics.Spans;

/// <summary>A span whose length is 64-bit: <see cref="Span{T}"/> ends at 2^31 elements, and the trained values of a large model do not.</summary>
/// <typeparam name="T">A number.</typeparam>
public readonly unsafe ref struct LongSpan<T>
    where T : unmanaged
{
    private readonly ref T _first;

    /// <summary>A view of memory that the caller keeps alive.</summary>
    /// <param name="first">The first element.</param>
    /// <param name="length">Elements.</param>
    public LongSpan(ref T first, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        _first = ref first;
        Length = length;
    }

    /// <summary>A view of native memory.</summary>
    /// <param name="first">The first element.</param>
    /// <param name="length">Elements.</param>
    public LongSpan(T* first, long length)
        : this(ref Unsafe.AsRef<T>(first), length)
    {
    }

    /// <summary>Elements.</summary>
    public long Length { get; }

    /// <summary>One element.</summary>
    /// <param name="index">From 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is none.</exception>
    public ref T this[long index]
    {
        get
        {
            if ((ulong)index >= (ulong)Length) throw new ArgumentOutOfRangeException(nameof(index));
            return ref Unsafe.Add(ref _first, (nint)index);
        }
    }

    /// <summary>A short span is a long one.</summary>
    /// <param name="span">The elements.</param>
    public static implicit operator LongSpan<T>(Span<T> span) => new(ref MemoryMarshal.GetReference(span), span.Length);

    /// <summary>So is an array.</summary>
    /// <param name="array">The elements.</param>
    public static implicit operator LongSpan<T>(T[]? array) => array.AsSpan();

    /// <summary>The same elements, to be read alone.</summary>
    /// <param name="span">The elements.</param>
    public static implicit operator ReadOnlyLongSpan<T>(LongSpan<T> span) => new(ref span._first, span.Length);

    /// <summary>A part.</summary>
    /// <param name="begin">Its first element.</param>
    /// <param name="length">Its elements.</param>
    /// <exception cref="ArgumentOutOfRangeException">It does not lie inside.</exception>
    public LongSpan<T> Slice(long begin, long length)
    {
        LongBlocks.RequireInside(begin, length, Length);
        return new LongSpan<T>(ref Unsafe.Add(ref _first, (nint)begin), length);
    }

    /// <summary>A part that a span can count.</summary>
    /// <param name="begin">Its first element.</param>
    /// <param name="length">Its elements.</param>
    /// <exception cref="ArgumentOutOfRangeException">It does not lie inside.</exception>
    public Span<T> Span(long begin, int length)
    {
        LongBlocks.RequireInside(begin, length, Length);
        return MemoryMarshal.CreateSpan(ref Unsafe.Add(ref _first, (nint)begin), length);
    }

    /// <summary>Copies all elements.</summary>
    /// <param name="destination">At least as long.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is shorter.</exception>
    public void CopyTo(LongSpan<T> destination) => ((ReadOnlyLongSpan<T>)this).CopyTo(destination);

    /// <summary>Sets all elements to 0.</summary>
    public void Clear() => Fill(default);

    /// <summary>Sets all elements.</summary>
    /// <param name="value">What they become.</param>
    public void Fill(T value)
    {
        foreach (var (begin, count) in LongBlocks.Of(Length)) Span(begin, count).Fill(value);
    }

    /// <summary>A copy, where an array can hold it.</summary>
    /// <exception cref="OverflowException">It cannot.</exception>
    public T[] ToArray() => ((ReadOnlyLongSpan<T>)this).ToArray();

    /// <summary>A copy of any length, which the caller disposes of.</summary>
    public LongArray<T> ToLongArray() => ((ReadOnlyLongSpan<T>)this).ToLongArray();

    /// <summary>For <c>fixed</c>.</summary>
    public ref T GetPinnableReference() => ref _first;
}
