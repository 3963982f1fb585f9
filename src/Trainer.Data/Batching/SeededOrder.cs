namespace Trainer.Data.Batching;

/// <summary>Orders that are functions of numbers alone: the same on every machine, and for every resume.</summary>
internal static class SeededOrder
{
    /// <summary>A generator of its own for each (seed, epoch, purpose): SplitMix64 (Steele, Lea, Flood, 2014).</summary>
    public static ulong State(int seed, int epoch, int purpose) =>
        Next(Next(Next(0x243F6A8885A308D3ul ^ (uint)seed) ^ (uint)epoch) ^ (uint)purpose);

    /// <summary>Fisher-Yates over <paramref name="items"/>.</summary>
    public static void Shuffle<T>(Span<T> items, ulong state)
    {
        for (var i = items.Length - 1; i > 0; i--)
        {
            state += 0x9E3779B97F4A7C15ul;
            // The high half of the product is uniform over 0..i up to 2^-32, far below what an order could show.
            var j = (int)Math.BigMul(Next(state), (ulong)(i + 1), out _);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    /// <summary>0 to count - 1, shuffled.</summary>
    public static int[] Permutation(int count, ulong state)
    {
        var order = new int[count];
        for (var i = 0; i < count; i++) order[i] = i;
        Shuffle(order.AsSpan(), state);
        return order;
    }

    /// <summary>The number at a place of a generator's stream.</summary>
    public static ulong At(ulong state, int place) => Next(state + (ulong)place * 0x9E3779B97F4A7C15ul);

    private static ulong Next(ulong z)
    {
        z += 0x9E3779B97F4A7C15ul;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ul;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBul;
        return z ^ (z >> 31);
    }
}
