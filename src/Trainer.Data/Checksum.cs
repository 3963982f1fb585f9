using System.Numerics;
using System.Runtime.InteropServices;

namespace Trainer.Data;

/// <summary>A fast digest of tokens against disk damage and for finding duplicates; not against an adversary.</summary>
internal static class Checksum
{
    public static ulong Of(ReadOnlySpan<int> ids, ReadOnlySpan<int> labels) => Add(Add(0x9E3779B97F4A7C15ul ^ (ulong)ids.Length, ids), labels);

    public static ulong Add(ulong state, ReadOnlySpan<int> values)
    {
        var pairs = MemoryMarshal.Cast<int, ulong>(values);
        foreach (var pair in pairs) state = Mix(state, pair);
        if ((values.Length & 1) != 0) state = Mix(state, (uint)values[^1]);
        return state;
    }

    public static ulong Mix(ulong state, ulong value) => BitOperations.RotateLeft((state ^ value) * 0xD6E8FEB86659FD93ul, 29);
}
