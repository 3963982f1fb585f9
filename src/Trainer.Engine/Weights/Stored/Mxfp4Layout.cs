using Trainer.Checkpoints.Safetensors;
using Trainer.Models;

namespace Trainer.Engine.Weights.Stored;

/// <summary>Experts in MXFP4 as gpt-oss stores them: the matrices of all experts in one tensor of codes and one of scales.</summary>
/// <remarks>
/// <code>
/// NAME_blocks U8 [experts, out, in/32, 16]      NAME_scales U8 [experts, out, in/32]
/// </code>
/// Each expert's matrix lies [out, in], also where the family's plain tensors lie transposed.
/// </remarks>
internal static unsafe class Mxfp4Layout
{
    /// <summary>Ends of the names of codes and scales.</summary>
    public const string Blocks = "_blocks", Scales = "_scales";

    // A scale of 255 is NaN.
    private const byte NotANumber = 255;

    /// <summary>Whether a tensor of experts is stored so.</summary>
    public static bool Has(WeightFiles files, string name) => files.Has(name + Blocks);

    /// <summary>The matrix of each expert.</summary>
    /// <param name="files">The folder.</param>
    /// <param name="name">Name of the plain tensor of all experts.</param>
    /// <param name="experts">How many.</param>
    /// <param name="rows">Output features of one.</param>
    /// <param name="columns">Input features of one.</param>
    /// <exception cref="ModelException">A tensor is missing or of another shape, or a scale is NaN; it is named.</exception>
    public static IReadOnlyList<Mxfp4Weight> Read(WeightFiles files, string name, int experts, long rows, long columns)
    {
        if (columns % Mxfp4Weight.BlockColumns != 0)
            throw StoredMatrix.Damaged(files, name, $"{columns} input features are no multiple of {Mxfp4Weight.BlockColumns}");
        var groups = columns / Mxfp4Weight.BlockColumns;
        var blocks = Take(files, name + Blocks, [experts, rows, groups, 16]);
        var scales = Take(files, name + Scales, [experts, rows, groups]);
        for (long i = 0; i < experts * rows * groups; i++)
            if (scales[i] == NotANumber) throw StoredMatrix.Damaged(files, name + Scales, $"scale {i} is NaN");
        var weights = new List<Mxfp4Weight>(experts);
        for (long e = 0; e < experts; e++) weights.Add(new Mxfp4Weight(rows, columns, blocks + e * rows * groups * 16, scales + e * rows * groups));
        return weights;
    }

    private static byte* Take(WeightFiles files, string name, long[] shape)
    {
        if (!files.Has(name)) throw new ModelException($"tensor '{name}' is missing from '{files.Folder}'; the quantized folder is incomplete");
        var found = files.Entry(name).Shape;
        if (!found.SequenceEqual(shape))
            throw StoredMatrix.Damaged(files, name, $"its shape is [{string.Join(", ", found)}], config.json needs [{string.Join(", ", shape)}]");
        return files.TakePointer(name, SafetensorsDtype.U8, shape.Aggregate(1L, (product, side) => product * side));
    }
}
