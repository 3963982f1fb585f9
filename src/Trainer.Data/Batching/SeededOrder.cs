using Trainer.Numerics.Draws;

namespace Trainer.Data.Batching;

/// <summary>Orders that are functions of numbers alone: the same on every machine, and for every resume.</summary>
internal static class SeededOrder
{
    /// <summary>A generator of its own for each (seed, epoch, purpose).</summary>
    public static ulong State(int seed, int epoch, int purpose) =>
        SplitMix64.Mix(SplitMix64.Mix(SplitMix64.Mix(0x243F6A8885A308D3ul ^ (uint)seed) ^ (uint)epoch) ^ (uint)purpose);

    /// <summary>Fisher-Yates over <paramref name="items"/>.</summary>
    public static void Shuffle<T>(Span<T> items, ulong state)
    {
        for (var i = items.Length - 1; i > 0; i--)
        {
            state += SplitMix64.Step;
            // The high half of the product is uniform over 0..i up to 2^-32, far below what an order could show.
            var j = (int)Math.BigMul(SplitMix64.Mix(state), (ulong)(i + 1), out _);
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
    public static ulong At(ulong state, int place) => SplitMix64.Mix(state + (ulong)place * SplitMix64.Step);
}
