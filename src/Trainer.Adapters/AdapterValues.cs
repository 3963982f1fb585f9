using System.Runtime.InteropServices;
using Trainer.Checkpoints;

namespace Trainer.Adapters;

/// <summary>Reads a stored tensor of any float type as float32.</summary>
internal static class AdapterValues
{
    public static bool TryRead(SafetensorsFile file, SafetensorsEntry entry, out float[] values)
    {
        values = new float[entry.ElementCount];
        var bytes = file.Bytes(entry);
        switch (entry.Dtype)
        {
            case SafetensorsDtype.F32:
                bytes.CopyTo(MemoryMarshal.AsBytes(values.AsSpan()));
                return true;
            case SafetensorsDtype.F16:
                var halves = MemoryMarshal.Cast<byte, Half>(bytes);
                for (var i = 0; i < values.Length; i++) values[i] = (float)halves[i];
                return true;
            case SafetensorsDtype.BF16:
                var shorts = MemoryMarshal.Cast<byte, ushort>(bytes);
                for (var i = 0; i < values.Length; i++) values[i] = BitConverter.UInt32BitsToSingle((uint)shorts[i] << 16);
                return true;
            default:
                return false;
        }
    }
}
