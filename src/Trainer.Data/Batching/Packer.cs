using System.Numerics;

namespace Trainer.Data.Batching;

/// <summary>
/// Best-fit-decreasing bin packing (Johnson, 1973): the longest row first, into the fullest bin that still takes it. A bitset over free
/// lengths finds that bin in a few words, so a million rows pack in well under a second.
/// </summary>
internal static class Packer
{
    /// <summary>Bins of rows, each bin's rows in the order given, bins by their first row. Deterministic.</summary>
    /// <param name="rows">Rows to pack, in order.</param>
    /// <param name="lengths">Length of every row of the set.</param>
    /// <param name="capacity">Most tokens in a bin; a longer row gets a bin of its own.</param>
    public static List<int[]> Pack(ReadOnlySpan<int> rows, ReadOnlySpan<int> lengths, int capacity)
    {
        var order = new (int Length, int At)[rows.Length];
        for (var i = 0; i < rows.Length; i++) order[i] = (-lengths[rows[i]], i);
        Array.Sort(order); // ties by place, so the result is one
        var bins = new List<List<int>>();
        var open = new Stack<int>?[capacity + 1]; // bins by free length
        var free = new ulong[capacity / 64 + 1];
        foreach (var (negative, at) in order)
        {
            var length = -negative;
            var room = length > capacity ? -1 : FirstAtLeast(free, length);
            int bin, left;
            if (room < 0)
            {
                bin = bins.Count;
                bins.Add([]);
                left = capacity - length;
            }
            else
            {
                bin = open[room]!.Pop();
                if (open[room]!.Count == 0) free[room >> 6] &= ~(1ul << (room & 63));
                left = room - length;
            }
            bins[bin].Add(at);
            if (left <= 0) continue;
            (open[left] ??= new Stack<int>()).Push(bin);
            free[left >> 6] |= 1ul << (left & 63);
        }
        foreach (var bin in bins) bin.Sort();
        bins.Sort((a, b) => a[0].CompareTo(b[0]));
        var result = new List<int[]>(bins.Count);
        foreach (var bin in bins)
        {
            var packed = new int[bin.Count];
            for (var i = 0; i < packed.Length; i++) packed[i] = rows[bin[i]];
            result.Add(packed);
        }
        return result;
    }

    private static int FirstAtLeast(ulong[] bits, int from)
    {
        var word = from >> 6;
        if (word >= bits.Length) return -1;
        var current = bits[word] & (ulong.MaxValue << (from & 63));
        while (current == 0)
        {
            if (++word == bits.Length) return -1;
            current = bits[word];
        }
        return (word << 6) + BitOperations.TrailingZeroCount(current);
    }
}
