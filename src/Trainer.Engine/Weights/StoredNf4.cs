using Trainer.Checkpoints;
using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models;
using Trainer.Numerics.Nf4;

namespace Trainer.Engine.Weights;

/// <summary>Reads a linear's weight from bitsandbytes' 4-bit layout: packed codes, absmax values and a JSON state in tensors beside them.</summary>
internal static unsafe class StoredNf4
{
    /// <summary>Whether any weight of a folder is stored in 4 bits.</summary>
    public static bool IsUsedBy(WeightFiles files) => files.Names.Any(name => name.EndsWith(Nf4Folder.StateSuffix, StringComparison.Ordinal));

    /// <summary>Whether a weight is stored in 4 bits.</summary>
    public static bool Has(WeightFiles files, string name)
    {
        if (files.Has(name + Nf4Folder.Fp4StateSuffix))
            throw new ModelException($"tensor '{name}' of '{files.Folder}' is quantized as fp4, config.json does not say so; set its "
                + "bnb_4bit_quant_type to fp4");
        return files.Has(name + Nf4Folder.StateSuffix);
    }

    /// <summary>The weight, over the mapped file where its absmax values are aligned for it.</summary>
    public static Nf4Weight Read(WeightFiles files, string name, long rows, long columns)
    {
        var count = rows * columns;
        var state = State(files, name, rows, columns);
        if (!files.TakeBytes(name + ".quant_map", SafetensorsDtype.F32, 16)
            .SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes(Nf4Codebook.Values)))
            throw Damaged(files, name, "its quant_map is not the NF4 code");
        var packed = files.TakeRaw(name, Nf4Codebook.PackedBytes(count));
        var blocks = Nf4Codebook.Blocks(count);
        var absmaxType = state.NestedOffset is not null ? SafetensorsDtype.U8 : SafetensorsDtype.F32;
        var absmax = files.TakePointer(name + ".absmax", absmaxType, blocks);
        if (state.NestedOffset is not { } offset)
            return Nf4Weight.Over(rows, columns, Nf4Source.Plain(packed, (float*)absmax, count), Nf4Codebook.PackedBytes(count) + blocks * sizeof(float));
        var nestedAbsmax = (float*)files.TakePointer(name + ".nested_absmax", SafetensorsDtype.F32, Nf4Codebook.NestedBlocks(count));
        var map = (float*)files.TakePointer(name + ".nested_quant_map", SafetensorsDtype.F32, 256);
        return Nf4Weight.Over(rows, columns, Nf4Source.Nested(packed, absmax, nestedAbsmax, map, offset, count),
            Nf4Codebook.PackedBytes(count) + blocks + Nf4Codebook.NestedBlocks(count) * sizeof(float));
    }

    private static Nf4QuantState State(WeightFiles files, string name, long rows, long columns)
    {
        Nf4QuantState state;
        try
        {
            state = Nf4QuantState.Parse(files.TakeBytes(name + Nf4Folder.StateSuffix, SafetensorsDtype.U8, -1), name);
        }
        catch (BadFileException fault)
        {
            throw new ModelException($"{fault.Message} (in '{files.Folder}')", fault);
        }
        if (state.BlockSize != Nf4Codebook.BlockSize)
            throw Damaged(files, name, $"blocks of {state.BlockSize} are not implemented, only {Nf4Codebook.BlockSize}");
        if (!state.Shape.SequenceEqual([rows, columns]))
            throw Damaged(files, name, $"its shape is [{string.Join(", ", state.Shape)}], config.json needs [{rows}, {columns}]");
        if (state.NestedBlockSize is { } nested && nested != Nf4Codebook.NestedBlockSize)
            throw Damaged(files, name, $"nested blocks of {nested} are not implemented, only {Nf4Codebook.NestedBlockSize}");
        return state;
    }

    private static ModelException Damaged(WeightFiles files, string name, string why)
        => new($"tensor '{name}' of '{files.Folder}': {why}; the quantized folder is damaged or from another tool");
}
