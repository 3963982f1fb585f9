using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Trainer.Checkpoints;

namespace Trainer.Engine;

/// <summary>fp32 values in the element types of GGUF.</summary>
internal static class GgufBlocks
{
    private const int BlockSize = 32, BlockBytes = 34;

    public static byte[] Encode(ReadOnlySpan<float> values, GgufTensorType type)
    {
        if (type == GgufTensorType.Q8_0) return Q8(values);
        var dtype = type switch { GgufTensorType.F32 => SafetensorsDtype.F32, GgufTensorType.F16 => SafetensorsDtype.F16, _ => SafetensorsDtype.BF16 };
        var bytes = new byte[values.Length * dtype.Bits() / 8];
        StoredValues.Write(values, dtype, bytes);
        return bytes;
    }

    // Blocks of 32: half-precision d = absmax / 127, then round(x / d) away from zero at a tie, as ggml's reference does.
    private static byte[] Q8(ReadOnlySpan<float> values)
    {
        var bytes = new byte[values.Length / BlockSize * BlockBytes];
        for (var block = 0; block < values.Length / BlockSize; block++)
        {
            var x = values.Slice(block * BlockSize, BlockSize);
            var output = bytes.AsSpan(block * BlockBytes, BlockBytes);
            var largest = 0f;
            foreach (var value in x) largest = MathF.Max(largest, MathF.Abs(value));
            var d = largest / 127f;
            var inverse = d == 0f ? 0f : 1f / d;
            BinaryPrimitives.WriteHalfLittleEndian(output, (System.Half)d);
            var codes = MemoryMarshal.Cast<byte, sbyte>(output[2..]);
            for (var i = 0; i < BlockSize; i++) codes[i] = (sbyte)MathF.Round(x[i] * inverse, MidpointRounding.AwayFromZero);
        }
        return bytes;
    }
}
