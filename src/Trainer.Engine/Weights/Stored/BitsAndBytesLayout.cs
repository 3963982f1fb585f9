using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models;

namespace Trainer.Engine.Weights.Stored;

/// <summary>bitsandbytes' layouts that are not NF4.</summary>
/// <remarks>
/// <code>
/// int8:  weight I8 [out, in]   SCB F32 [out]   weight_format U8, 0 for rows
/// fp4:   weight, packed        weight.absmax, weight.quant_map F32 [16], weight.quant_state.bitsandbytes__fp4 and, of quantized scales, their parts
/// </code>
/// </remarks>
internal static unsafe class BitsAndBytesLayout
{
    /// <summary>Ends of the names of what lies beside such a weight.</summary>
    public static IReadOnlyList<string> Fp4Parts { get; } = [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", Nf4Folder.Fp4StateSuffix];

    /// <summary>Reads one weight of 8-bit integers.</summary>
    public static BnbInt8Weight Int8(WeightFiles files, string name, long rows, long columns)
    {
        var format = StoredMatrix.Part(name, "weight_format");
        if (files.Has(format) && files.TakeBytes(format, SafetensorsDtype.U8, -1).ContainsAnyExcept((byte)0))
            throw StoredMatrix.Damaged(files, format, "its codes lie in tiles, which is not read; save the model anew");
        StoredMatrix.RequireShape(files, name, [rows, columns]);
        var scales = StoredMatrix.Part(name, "SCB");
        _ = StoredMatrix.Scales(files, scales, mayBeZero: true, rows);
        return new BnbInt8Weight(rows, columns, (sbyte*)files.TakePointer(name, SafetensorsDtype.I8, rows * columns),
            (float*)files.TakePointer(scales, SafetensorsDtype.F32, rows));
    }

    /// <summary>Reads one weight of 4-bit floats.</summary>
    public static BnbFp4Weight Fp4(WeightFiles files, string name, long rows, long columns)
    {
        var state = State(files, name);
        if (!state.Shape.SequenceEqual([rows, columns]))
            throw StoredMatrix.Damaged(files, name, $"its shape is [{string.Join(", ", state.Shape)}], config.json needs [{rows}, {columns}]");
        var blocks = (rows * columns + state.BlockSize - 1) / state.BlockSize;
        var table = Floats(files, name + ".quant_map", 16);
        var packed = files.TakeRaw(name, (rows * columns + 1) / 2);
        if (state.NestedOffset is not { } offset)
            return new BnbFp4Weight(rows, columns, packed, table, Floats(files, name + ".absmax", blocks), state.BlockSize);
        var (absmax, nestedBlock) = (new float[blocks], state.NestedBlockSize!.Value);
        var codes = files.TakeBytes(name + ".absmax", SafetensorsDtype.U8, blocks);
        var map = Floats(files, name + ".nested_quant_map", 256);
        var nested = Floats(files, name + ".nested_absmax", (blocks + nestedBlock - 1) / nestedBlock);
        for (var i = 0; i < absmax.Length; i++)
        {
            var product = map[codes[i]] * nested[i / nestedBlock];
            absmax[i] = product + offset;
        }
        return new BnbFp4Weight(rows, columns, packed, table, absmax, state.BlockSize);
    }

    /// <summary>The state of a weight of 4-bit floats.</summary>
    public static Nf4QuantState State(WeightFiles files, string name)
    {
        try
        {
            return Nf4QuantState.Parse(files.TakeBytes(name + Nf4Folder.Fp4StateSuffix, SafetensorsDtype.U8, -1), name, "fp4");
        }
        catch (BadFileException fault)
        {
            throw new ModelException($"{fault.Message} (in '{files.Folder}')", fault);
        }
    }

    private static float[] Floats(WeightFiles files, string name, long count)
        => MemoryMarshal.Cast<byte, float>(files.TakeBytes(name, SafetensorsDtype.F32, count)).ToArray();
}
