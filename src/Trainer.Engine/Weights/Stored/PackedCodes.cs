namespace Trainer.Engine.Weights.Stored;

/// <summary>Codes that lie one behind the other in words of 32 bits, the first in the lowest bits; a code of three bits may reach into the next word.</summary>
/// <param name="words">The words.</param>
/// <param name="bits">Bits of a code.</param>
/// <param name="stride">Words from one word of a line to its next: 1 where lines are rows, the row's length where they are columns.</param>
internal readonly ref struct PackedCodes(ReadOnlySpan<uint> words, int bits, long stride = 1)
{
    private readonly ReadOnlySpan<uint> _words = words;

    /// <summary>Words of a line of codes.</summary>
    /// <param name="count">Codes.</param>
    /// <param name="bits">Bits of a code.</param>
    public static long Words(long count, int bits) => (count * bits + 31) / 32;

    /// <summary>One code.</summary>
    /// <param name="begin">The line's first word.</param>
    /// <param name="index">Which of the line's codes.</param>
    public uint this[long begin, long index]
    {
        get
        {
            var (word, shift) = Math.DivRem(index * bits, 32);
            var at = begin + word * stride;
            ulong both = _words[checked((int)at)];
            if (shift + bits > 32) both |= (ulong)_words[checked((int)(at + stride))] << 32;
            return (uint)(both >> (int)shift) & ((1u << bits) - 1);
        }
    }
}
