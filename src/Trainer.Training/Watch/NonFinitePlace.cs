using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Watch;

/// <summary>Finds the first element of a flat buffer that is NaN or infinite.</summary>
internal static class NonFinitePlace
{
    // Floats that are looked at in some ten microseconds.
    private const int Block = 1 << 17;

    public static string? In(ReadOnlyLongSpan<float> buffer, IReadOnlyList<ParameterEntry> tensors, string kind) => In(buffer, kind, tensors);

    /// <summary>As the other for gradients, from the last tensor down: a backward pass carries what is not finite to every layer below the one where it
    /// arose.</summary>
    public static string? FromTop(ReadOnlyLongSpan<float> buffer, IReadOnlyList<ParameterEntry> tensors, string kind) => In(buffer, kind, tensors.Reverse());

    private static string? In(ReadOnlyLongSpan<float> buffer, string kind, IEnumerable<ParameterEntry> tensors)
    {
        // Looked at after every step, and nearly always in vain.
        if (IsFinite(buffer)) return null;
        foreach (var tensor in tensors)
        {
            var values = buffer.Slice(tensor.Offset, tensor.Count);
            foreach (var (begin, count) in LongBlocks.Of(values.Length))
            {
                var block = values.Span(begin, count);
                for (var i = 0; i < block.Length; i++)
                    if (!float.IsFinite(block[i])) return $"{kind} {tensor.Name} is {block[i].ToString(CultureInfo.InvariantCulture)} at element {begin + i}";
            }
        }
        return null;
    }

    private static bool IsFinite(ReadOnlyLongSpan<float> buffer)
    {
        var isFinite = true;
        ComputeThreads.ForBlocks(buffer, Block, (block, _) =>
        {
            if (Volatile.Read(ref isFinite) && !IsFinite(block)) Volatile.Write(ref isFinite, false);
        });
        return isFinite;
    }

    private static bool IsFinite(ReadOnlySpan<float> block)
    {
        const uint Exponent = 0x7F80_0000;
        var mask = new Vector<uint>(Exponent);
        var bits = MemoryMarshal.Cast<float, uint>(block);
        var vectors = MemoryMarshal.Cast<uint, Vector<uint>>(bits);
        foreach (var vector in vectors)
            if (Vector.EqualsAny(vector & mask, mask)) return false;
        foreach (var value in bits[(vectors.Length * Vector<uint>.Count)..])
            if ((value & Exponent) == Exponent) return false;
        return true;
    }
}
