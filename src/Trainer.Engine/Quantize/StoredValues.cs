using System.Runtime.InteropServices;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models;
using Trainer.Numerics.Half;

namespace Trainer.Engine.Quantize;

/// <summary>Elements of stored tensors as fp32 and back, a range at a time, so that no tensor exists whole.</summary>
public static unsafe class StoredValues
{
    /// <summary>Whether a type can be read: F32, F16, BF16, F64.</summary>
    public static bool CanRead(SafetensorsDtype type) => type is SafetensorsDtype.F32 or SafetensorsDtype.F16 or SafetensorsDtype.BF16 or SafetensorsDtype.F64;

    /// <summary>The name that PyTorch and config.json give a type, e.g. bfloat16.</summary>
    public static string TorchName(SafetensorsDtype type) => type switch
    {
        SafetensorsDtype.F32 => "float32",
        SafetensorsDtype.F16 => "float16",
        SafetensorsDtype.BF16 => "bfloat16",
        SafetensorsDtype.F64 => "float64",
        _ => throw new ModelException($"type {type.Name()} is not one that weights are computed in; take a model in F32, F16 or BF16"),
    };

    /// <summary>Reads elements [begin, begin + values.Length) of a tensor; exact but for F64, which is rounded.</summary>
    /// <exception cref="ModelException">The type is not a float type, or a value is NaN or infinite; the tensor is named.</exception>
    public static void Read(SafetensorsFile file, SafetensorsEntry entry, long begin, Span<float> values)
    {
        if (!CanRead(entry.Dtype))
            throw new ModelException($"tensor '{entry.Name}' of '{file.Path}' has type {entry.Dtype.Name()}; take a model in F32, F16 or BF16");
        ArgumentOutOfRangeException.ThrowIfGreaterThan(begin, entry.ElementCount - values.Length);
        var at = file.Pointer(entry) + begin * (entry.Dtype.Bits() / 8);
        fixed (float* output = values)
        {
            switch (entry.Dtype)
            {
                case SafetensorsDtype.F32: new ReadOnlySpan<float>(at, values.Length).CopyTo(values); break;
                case SafetensorsDtype.F16: Float16Bits.ToFloat((ushort*)at, output, values.Length); break;
                case SafetensorsDtype.BF16: BFloat16Bits.ToFloat((ushort*)at, output, values.Length); break;
                default:
                    for (var i = 0; i < values.Length; i++) output[i] = (float)((double*)at)[i];
                    break;
            }
        }
        for (var i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
                throw new ModelException($"tensor '{entry.Name}' of '{file.Path}' holds {values[i]} at element {begin + i}; the file is damaged, copy or "
                    + "download it again");
        }
    }

    /// <summary>The first value that a type cannot hold: one that rounds to infinity, or is infinite or NaN itself. -1 where there is none.</summary>
    /// <param name="values">The values.</param>
    /// <param name="type">F32, F16 or BF16.</param>
    public static int FirstOverflow(ReadOnlySpan<float> values, SafetensorsDtype type)
    {
        // The largest finite number and half of its last place: from there on the nearest is infinity.
        var limit = type switch { SafetensorsDtype.F16 => 65520f, SafetensorsDtype.BF16 => BitConverter.Int32BitsToSingle(0x7F7F_8000),
            _ => float.PositiveInfinity };
        for (var i = 0; i < values.Length; i++)
            if (!(MathF.Abs(values[i]) < limit)) return i;
        return -1;
    }

    /// <summary>Rounds fp32 values to a stored type.</summary>
    /// <param name="values">The values.</param>
    /// <param name="type">F32, F16 or BF16.</param>
    /// <param name="bytes">As many elements of the type.</param>
    public static void Write(ReadOnlySpan<float> values, SafetensorsDtype type, Span<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, values.Length * type.Bits() / 8);
        fixed (float* input = values)
        fixed (byte* output = bytes)
        {
            switch (type)
            {
                case SafetensorsDtype.F32: MemoryMarshal.AsBytes(values).CopyTo(bytes); break;
                case SafetensorsDtype.F16: Float16Bits.FromFloat(input, (ushort*)output, values.Length); break;
                case SafetensorsDtype.BF16: BFloat16Bits.FromFloat(input, (ushort*)output, values.Length); break;
                default: throw new ModelException($"type {type.Name()} cannot be written; take a model in F32, F16 or BF16");
            }
        }
    }
}
