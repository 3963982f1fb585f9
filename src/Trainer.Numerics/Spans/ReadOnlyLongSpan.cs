using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Numerics.Spans;

/// <summary><see cref="LongSpan{T}"/> to be read alone.</summary>
/// <typeparam name="T">A number.</typeparam>
public readonly ref struct ReadOnlyLongSpan<T>
    where T : unmanaged
{
    private readonly ref readonly T _first;

    /// <summary>A view of memory that the caller keeps alive.</summary>
    /// <param name="first">The first element.</param>
    /// <param name="length">Elements.</param>
    public ReadOnlyLongSpan(ref readonly T first, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        _first = ref first;
        Length = length;
    }

    /// <summary>Elements.</summary>
    public long Length { get; }

    /// <summary>One element.</summary>
    /// <param name="index">From 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is none.</exception>
    public T this[long index]
    {
        get
        {
            if ((ulong)index >= (ulong)Length) throw new ArgumentOutOfRangeException(nameof(index));
            return Unsafe.Add(ref Unsafe.AsRef(in _first), (nint)index);
        }
    }

    /// <summary>A short span is a long one.</summary>
    /// <param name="span">The elements.</param>
    public static implicit operator ReadOnlyLongSpan<T>(ReadOnlySpan<T> span) => new(in MemoryMarshal.GetReference(span), span.Length);

    /// <summary>A short span is a long one.</summary>
    /// <param name="span">The elements.</param>
    public static implicit operator ReadOnlyLongSpan<T>(Span<T> span) => (ReadOnlySpan<T>)span;

    /// <summary>So is an array.</summary>
    /// <param name="array">The elements.</param>
    public static implicit operator ReadOnlyLongSpan<T>(T[]? array) => (ReadOnlySpan<T>)array;

    /// <summary>A part.</summary>
    /// <param name="begin">Its first element.</param>
    /// <param name="length">Its elements.</param>
    /// <exception cref="ArgumentOutOfRangeException">It does not lie inside.</exception>
    public ReadOnlyLongSpan<T> Slice(long begin, long length)
    {
        LongBlocks.RequireInside(begin, length, Length);
        return new ReadOnlyLongSpan<T>(in Unsafe.Add(ref Unsafe.AsRef(in _first), (nint)begin), length);
    }

    /// <summary>A part that a span can count.</summary>
    /// <param name="begin">Its first element.</param>
    /// <param name="length">Its elements.</param>
    /// <exception cref="ArgumentOutOfRangeException">It does not lie inside.</exception>
    public ReadOnlySpan<T> Span(long begin, int length)
    {
        LongBlocks.RequireInside(begin, length, Length);
        return MemoryMarshal.CreateReadOnlySpan(in Unsafe.Add(ref Unsafe.AsRef(in _first), (nint)begin), length);
    }

    /// <summary>Copies all elements.</summary>
    /// <param name="destination">At least as long.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is shorter.</exception>
    public void CopyTo(LongSpan<T> destination)
    {
        foreach (var (begin, count) in LongBlocks.Of(Length)) Span(begin, count).CopyTo(destination.Span(begin, count));
    }

    /// <summary>The first element that is not this one, or -1.</summary>
    /// <param name="value">What is passed over.</param>
    public long FirstExcept(T value)
    {
        foreach (var (begin, count) in LongBlocks.Of(Length))
            if (Span(begin, count).IndexOfAnyExcept(value) is >= 0 and var at) return begin + at;
        return -1;
    }

    /// <summary>A copy, where an array can hold it.</summary>
    /// <exception cref="OverflowException">It cannot.</exception>
    public T[] ToArray() => Span(0, checked((int)Length)).ToArray();

    /// <summary>A copy of any length, which the caller disposes of.</summary>
    public LongArray<T> ToLongArray()
    {
        var copy = new LongArray<T>(Length);
        CopyTo(copy.All);
        return copy;
    }

    /// <summary>For <c>fixed</c>.</summary>
    public ref readonly T GetPinnableReference() => ref _first;
}
