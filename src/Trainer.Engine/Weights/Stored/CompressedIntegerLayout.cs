using System.Runtime.InteropServices;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Engine.Weights.Stored;

/// <summary>The pack-quantized layout of compressed-tensors: codes of eight input features in a word, stored plus 8; zero points only where codes are not
/// symmetric.</summary>
/// <remarks>
/// <code>
/// weight_packed I32 [out, in/8]   weight_scale [out, groups]   weight_shape I64 [2]   weight_g_idx I32 [in] where columns were sorted
/// weight_zero_point I32 [out/8, groups], packed along the output features          W[o,i] = (q - z) scale[o,g] in the type of the scale
/// </code>
/// </remarks>
internal static class CompressedInt4Layout
{
    /// <summary>Reads one weight.</summary>
    public static Int4Weight Read(WeightFiles files, Models.Config.StoredQuantization stored, string name, long rows, long columns)
    {
        var (words, groups) = ((columns + 7) / 8, StoredMatrix.Groups(stored, columns));
        RequireShape(files, StoredMatrix.Part(name, "weight_shape"), rows, columns);
        var (scales, type) = StoredMatrix.Scales(files, StoredMatrix.Part(name, "weight_scale"), rows, groups);
        var zeros = new byte[rows * groups];
        Array.Fill(zeros, (byte)8);
        var zeroPoints = StoredMatrix.Part(name, "weight_zero_point");
        if (files.Has(zeroPoints))
        {
            var packed = StoredMatrix.Words(files, zeroPoints, (rows + 7) / 8, groups);
            for (long row = 0; row < rows; row++)
                for (var group = 0; group < groups; group++)
                    zeros[row * groups + group] = Int4Weight.CodeOf(packed[checked((int)(row / 8 * groups + group))], row % 8);
        }
        var table = StoredMatrix.Part(name, "weight_g_idx");
        var ofColumn = files.Has(table) ? StoredMatrix.GroupsByTable(files, table, columns, groups) : StoredMatrix.GroupsInOrder(stored, columns);
        var weight = new Int4Weight(rows, columns, ofColumn, scales, zeros, type);
        var codes = StoredMatrix.Words(files, StoredMatrix.Part(name, "weight_packed"), rows, words);
        for (long row = 0; row < rows; row++)
        {
            for (long word = 0; word < words; word++) weight.SetCodes(row, 8 * word, codes[checked((int)(row * words + word))]);
        }
        return weight;
    }

    private static void RequireShape(WeightFiles files, string name, long rows, long columns)
    {
        var shape = MemoryMarshal.Cast<byte, long>(files.TakeBytes(name, SafetensorsDtype.I64, 2));
        if (shape[0] != rows || shape[1] != columns)
            throw StoredMatrix.Damaged(files, name, $"it says [{shape[0]}, {shape[1]}], config.json needs [{rows}, {columns}]");
    }
}
