using System.Runtime.InteropServices;
using Trainer.Checkpoints;

namespace Trainer.Adapters;

/// <summary>Reads a stored tensor of any float type as float32, in parts: one of 2 GiB and more is more than a span can hold.</summary>
internal static class AdapterValues
{
    private const int PartElements = 1 << 20;

    public static bool TryRead(SafetensorsFile file, SafetensorsEntry entry, out float[] values)
    {
        values = new float[entry.ElementCount];
        if (entry.Dtype is not (SafetensorsDtype.F32 or SafetensorsDtype.F16 or SafetensorsDtype.BF16)) return false;
        var size = entry.Dtype == SafetensorsDtype.F32 ? 4 : 2;
        for (var first = 0; first < values.Length; first += PartElements)
        {
            var part = values.AsSpan(first, Math.Min(PartElements, values.Length - first));
            Widen(file.Bytes(entry, (long)first * size, part.Length * size), entry.Dtype, part);
        }
        return true;
    }

    private static void Widen(ReadOnlySpan<byte> bytes, SafetensorsDtype dtype, Span<float> values)
    {
        switch (dtype)
        {
            case SafetensorsDtype.F32:
                bytes.CopyTo(MemoryMarshal.AsBytes(values));
                break;
            case SafetensorsDtype.F16:
                var halves = MemoryMarshal.Cast<byte, Half>(bytes);
                for (var i = 0; i < values.Length; i++) values[i] = (float)halves[i];
                break;
            default:
                var shorts = MemoryMarshal.Cast<byte, ushort>(bytes);
                for (var i = 0; i < values.Length; i++) values[i] = BitConverter.UInt32BitsToSingle((uint)shorts[i] << 16);
                break;
        }
    }
}
