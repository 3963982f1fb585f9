using System.Numerics;
using System.Runtime.InteropServices;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Engine.Weights;

/// <summary>Finds NaN and infinity in stored tensors: all exponent bits set.</summary>
internal static class FiniteCheck
{
    // A larger tensor is not left in memory by the look at it.
    private const long LargeTable = 64 << 20;

    /// <summary>Whether every element of a mapped tensor is finite. Types that have neither NaN nor infinity are.</summary>
    public static unsafe bool IsFinite(byte* data, long elements, SafetensorsDtype type) => type switch
    {
        SafetensorsDtype.F32 => Scan<uint>(data, elements, 0x7F80_0000u),
        SafetensorsDtype.BF16 => Scan<ushort>(data, elements, 0x7F80),
        SafetensorsDtype.F16 => Scan<ushort>(data, elements, 0x7C00),
        _ => true,
    };

    private static unsafe bool Scan<T>(byte* data, long elements, T exponent)
        where T : unmanaged, IBinaryInteger<T>
    {
        const int Part = 1 << 24;
        for (long begin = 0; begin < elements; begin += Part)
        {
            var part = new ReadOnlySpan<T>(data + begin * sizeof(T), (int)Math.Min(Part, elements - begin));
            var vectors = MemoryMarshal.Cast<T, Vector<T>>(part);
            var mask = new Vector<T>(exponent);
            foreach (var vector in vectors)
                if (Vector.EqualsAny(vector & mask, mask)) return false;
            foreach (var value in part[(vectors.Length * Vector<T>.Count)..])
                if ((value & exponent) == exponent) return false;
            if (elements * sizeof(T) > LargeTable) MappedPages.Drop(data + begin * sizeof(T), (long)part.Length * sizeof(T));
        }
        return true;
    }
}
