using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Numerics.Nf4;

namespace Trainer.Engine;

/// <summary>Reads a linear's weight from bitsandbytes' 4-bit layout: packed codes, absmax values and a JSON state in tensors beside them.</summary>
internal static unsafe class StoredNf4
{
    private const string State = ".quant_state.bitsandbytes__nf4";

    /// <summary>Whether any weight of a folder is stored in 4 bits.</summary>
    public static bool IsUsedBy(WeightFiles files) => files.Names.Any(name => name.EndsWith(State, StringComparison.Ordinal));

    /// <summary>Whether a weight is stored in 4 bits.</summary>
    public static bool Has(WeightFiles files, string name)
    {
        if (files.Has(name + ".quant_state.bitsandbytes__fp4"))
            throw new ModelException($"tensor '{name}' of '{files.Folder}' is quantized as fp4, which is not implemented; take an nf4 folder, or the original model with --quantize nf4");
        return files.Has(name + State);
    }

    /// <summary>The weight, over the mapped file where its absmax values are aligned for it.</summary>
    public static Nf4Weight Read(WeightFiles files, string name, long rows, long columns)
    {
        var count = rows * columns;
        var state = files.TakeBytes(name + State, SafetensorsDtype.U8, -1).ToArray();
        var nested = Check(files, name, state, rows, columns, out var offset);
        if (!files.TakeBytes(name + ".quant_map", SafetensorsDtype.F32, 16).SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes(Nf4Codebook.Values)))
            throw Damaged(files, name, "its quant_map is not the NF4 code");
        var packed = files.TakeRaw(name, Nf4Codebook.PackedBytes(count));
        var blocks = Nf4Codebook.Blocks(count);
        var absmaxType = nested ? SafetensorsDtype.U8 : SafetensorsDtype.F32;
        var absmax = files.TakePointer(name + ".absmax", absmaxType, blocks);
        if (!nested) return Nf4Weight.Over(rows, columns, Nf4Source.Plain(packed, (float*)absmax, count), Nf4Codebook.PackedBytes(count) + blocks * sizeof(float));
        var nestedAbsmax = (float*)files.TakePointer(name + ".nested_absmax", SafetensorsDtype.F32, Nf4Codebook.NestedBlocks(count));
        var map = (float*)files.TakePointer(name + ".nested_quant_map", SafetensorsDtype.F32, 256);
        return Nf4Weight.Over(rows, columns, Nf4Source.Nested(packed, absmax, nestedAbsmax, map, offset, count), Nf4Codebook.PackedBytes(count) + blocks + Nf4Codebook.NestedBlocks(count) * sizeof(float));
    }

    private static bool Check(WeightFiles files, string name, byte[] json, long rows, long columns, out float offset)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            if (root.GetProperty("quant_type").GetString() != "nf4") throw Damaged(files, name, $"its quant_type is '{root.GetProperty("quant_type")}'");
            if (root.GetProperty("blocksize").GetInt32() != Nf4Codebook.BlockSize) throw Damaged(files, name, $"blocks of {root.GetProperty("blocksize")} are not implemented, only {Nf4Codebook.BlockSize}");
            var shape = root.GetProperty("shape").EnumerateArray().Select(item => item.GetInt64()).ToArray();
            if (!shape.SequenceEqual([rows, columns])) throw Damaged(files, name, $"its shape is [{string.Join(", ", shape)}], config.json needs [{rows}, {columns}]");
            var nested = root.TryGetProperty("nested_blocksize", out var nestedSize);
            if (nested && nestedSize.GetInt32() != Nf4Codebook.NestedBlockSize) throw Damaged(files, name, $"nested blocks of {nestedSize} are not implemented, only {Nf4Codebook.NestedBlockSize}");
            offset = nested ? root.GetProperty("nested_offset").GetSingle() : 0;
            return nested;
        }
        catch (Exception fault) when (fault is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw Damaged(files, name, "its quant_state cannot be read");
        }
    }

    private static ModelException Damaged(WeightFiles files, string name, string why) => new($"tensor '{name}' of '{files.Folder}': {why}; the quantized folder is damaged or from another tool");
}
