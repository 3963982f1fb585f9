using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models;
using Trainer.Numerics.Half;

namespace Trainer.Engine.Weights.Stored;

/// <summary>Weights in 8-bit floats, E4M3, with scales beside them.</summary>
/// <remarks>
/// <code>
/// transformers:        weight_scale_inv, F32, a grid of blocks (of 128 x 128) or one number; activation_scale is of no use here
/// compressed-tensors:  weight_scale, one number, [out, 1], [out, groups], or a grid of blocks; the product is rounded to the scale's type; input_scale is
///                      of no use here, weight_zero_point is 0
/// </code>
/// </remarks>
internal static unsafe class Fp8Layout
{
    /// <summary>Reads one weight; the codes stay in the mapped file.</summary>
    public static Fp8Weight Read(WeightFiles files, Models.Config.StoredQuantization stored, string name, long rows, long columns)
    {
        var codes = Codes(files, name, rows, columns);
        var isCompressed = stored.Format == Models.Config.StoredFormat.CompressedFp8;
        var scaleName = StoredMatrix.Part(name, isCompressed ? "weight_scale" : "weight_scale_inv");
        if (!files.Has(scaleName)) throw new ModelException($"tensor '{scaleName}' is missing from '{files.Folder}'; the quantized folder is incomplete");
        foreach (var unused in new[] { "activation_scale", "input_scale" })
            if (StoredMatrix.Part(name, unused) is var other && files.Has(other)) files.TakeRaw(other, files.Entry(other).ByteCount);
        var zeros = StoredMatrix.Part(name, "weight_zero_point");
        if (files.Has(zeros) && files.TakeBytes(zeros, files.Entry(zeros).Dtype, -1).ContainsAnyExcept((byte)0))
            throw StoredMatrix.Damaged(files, zeros, "zero points of 8-bit floats other than 0 are not read");
        var shape = files.Entry(scaleName).Shape;
        var isGrouped = stored.Block is null && stored.GroupSize is { } size && shape is [_, var groups] && groups == (columns + size - 1) / size;
        var (blockRows, blockColumns) = isGrouped ? (1, stored.GroupSize!.Value)
            : stored.Block ?? (shape is [_, 1] && shape[0] == rows ? (1, columns) : (rows, columns));
        if (shape is [var each] && each == rows && rows > 1 && stored.Block is null) (blockRows, blockColumns) = (1, columns);
        long[] grid = stored.Block is null && shape.Length < 2 ? [.. shape] : [(rows + blockRows - 1) / blockRows, (columns + blockColumns - 1) / blockColumns];
        if (grid is not ([] or [1] or [_, _]) && !(shape is [var length] && length == rows))
            throw StoredMatrix.Damaged(files, scaleName, $"its shape [{string.Join(", ", shape)}] is none of one number, [{rows}, 1], a number "
                + "for each group, or a grid of blocks");
        var (scales, type) = StoredMatrix.Scales(files, scaleName, grid);
        return new Fp8Weight(rows, columns, codes, scales, blockRows, blockColumns, isCompressed ? type : ProductType.Float32);
    }

    private static byte* Codes(WeightFiles files, string name, long rows, long columns)
    {
        var entry = files.Entry(name);
        if (!entry.Shape.SequenceEqual([rows, columns]))
            throw StoredMatrix.Damaged(files, name, $"its shape is [{string.Join(", ", entry.Shape)}], config.json needs [{rows}, {columns}]");
        var codes = files.TakePointer(name, SafetensorsDtype.F8E4M3, rows * columns);
        for (long i = 0; i < rows * columns; i++)
            if (float.IsNaN(Float8Bits.E4M3[codes[i]]))
                throw new ModelException($"tensor '{name}' of '{files.Folder}' holds NaN; the model is damaged: download it again");
        return codes;
    }
}
