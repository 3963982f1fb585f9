namespace Trainer.Numerics.Spans;

/// <summary>Cuts long ranges into blocks that spans can count.</summary>
public static class LongBlocks
{
    /// <summary>Elements of a block: of floats and doubles its bytes too are a number of 32 bits.</summary>
    public const int Most = 1 << 27;

    /// <summary>Blocks that cover a range, in order.</summary>
    /// <param name="length">Elements of the range.</param>
    public static IEnumerable<(long Begin, int Count)> Of(long length)
    {
        for (long begin = 0; begin < length; begin += Most) yield return (begin, (int)Math.Min(Most, length - begin));
    }

    internal static void RequireInside(long begin, long length, long whole)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(begin);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(begin, whole - length);
    }
}
