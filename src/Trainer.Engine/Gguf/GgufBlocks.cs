using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights.Stored;
using Trainer.Models;

namespace Trainer.Engine.Gguf;

/// <summary>fp32 values in the element types of GGUF.</summary>
internal static class GgufBlocks
{
    private const int BlockSize = 32, BlockBytes = 34;

    /// <summary>The values of a range of a tensor in a type.</summary>
    /// <param name="values">Whole blocks.</param>
    /// <param name="type">F32, F16, BF16 or Q8_0.</param>
    /// <param name="tensor">Its name, for the fault.</param>
    /// <exception cref="ModelException">A value, or the scale of a block, is beyond what the type holds.</exception>
    public static byte[] Encode(ReadOnlySpan<float> values, GgufTensorType type, string tensor)
    {
        if (type == GgufTensorType.Q8_0) return Q8(values, tensor);
        var dtype = type switch { GgufTensorType.F32 => SafetensorsDtype.F32, GgufTensorType.F16 => SafetensorsDtype.F16, _ => SafetensorsDtype.BF16 };
        if (StoredValues.FirstOverflow(values, dtype) is >= 0 and var at) throw Overflow(tensor, values[at], dtype.Name().ToLowerInvariant());
        var bytes = new byte[values.Length * dtype.Bits() / 8];
        StoredValues.Write(values, dtype, bytes);
        return bytes;
    }

    // Blocks of 32: half-precision d = absmax / 127, then round(x / d) away from zero at a tie, as ggml's reference does.
    private static ModelException Overflow(string tensor, float value, string type) =>
        new($"tensor '{tensor}' holds {value.ToString(CultureInfo.InvariantCulture)}, which {type} cannot hold; export with --type bf16 or f32");

    private static byte[] Q8(ReadOnlySpan<float> values, string tensor)
    {
        var bytes = new byte[values.Length / BlockSize * BlockBytes];
        for (var block = 0; block < values.Length / BlockSize; block++)
        {
            var x = values.Slice(block * BlockSize, BlockSize);
            var output = bytes.AsSpan(block * BlockBytes, BlockBytes);
            var largest = 0f;
            foreach (var value in x) largest = MathF.Max(largest, MathF.Abs(value));
            var d = largest / 127f;
            if (StoredValues.FirstOverflow([d], SafetensorsDtype.F16) >= 0) throw Overflow(tensor, largest, "the half-precision scale of a q8_0 block");
            var inverse = d == 0f ? 0f : 1f / d;
            BinaryPrimitives.WriteHalfLittleEndian(output, (System.Half)d);
            var codes = MemoryMarshal.Cast<byte, sbyte>(output[2..]);
            for (var i = 0; i < BlockSize; i++) codes[i] = (sbyte)MathF.Round(x[i] * inverse, MidpointRounding.AwayFromZero);
        }
        return bytes;
    }
}
