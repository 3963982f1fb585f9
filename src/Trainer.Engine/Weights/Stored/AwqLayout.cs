namespace Trainer.Engine.Weights.Stored;

/// <summary>AWQ's gemm layout: codes and zero points of eight output features in a word, in an order of their own.</summary>
/// <remarks>
/// <code>
/// qweight I32 [in, out/8]   qzeros I32 [groups, out/8]   scales F16 [groups, out]
/// nibble j of a word belongs to the output feature Order[j] of its eight     W[o,i] = fp16(scales[g,o] (q - z)), g = i / group size
/// </code>
/// </remarks>
internal static class AwqLayout
{
    private static ReadOnlySpan<byte> Order => [0, 2, 4, 6, 1, 3, 5, 7];

    /// <summary>Reads one weight, its order undone.</summary>
    public static IntegerWeight Read(WeightFiles files, Models.Config.StoredQuantization stored, string name, long rows, long columns)
    {
        if (rows % 8 != 0) throw StoredMatrix.Damaged(files, name, $"{rows} output features are no multiple of 8");
        var (words, groups) = (rows / 8, StoredMatrix.Groups(stored, columns));
        var (byGroup, type) = StoredMatrix.Scales(files, StoredMatrix.Part(name, "scales"), groups, rows);
        var packedZeros = StoredMatrix.Words(files, StoredMatrix.Part(name, "qzeros"), groups, words);
        var (scales, zeros) = (new float[rows * groups], new byte[rows * groups]);
        for (var group = 0; group < groups; group++)
        {
            for (long word = 0; word < words; word++)
            {
                var eight = packedZeros[checked((int)(group * words + word))];
                for (var j = 0; j < 8; j++)
                {
                    var row = 8 * word + Order[j];
                    scales[row * groups + group] = byGroup[group * rows + row];
                    zeros[row * groups + group] = CodeOf(eight, j);
                }
            }
        }
        var weight = new IntegerWeight(rows, columns, 4, StoredMatrix.GroupsInOrder(stored, columns), scales, zeros, type);
        var codes = StoredMatrix.Words(files, StoredMatrix.Part(name, "qweight"), columns, words);
        for (long column = 0; column < columns; column++)
        {
            for (long word = 0; word < words; word++)
            {
                var eight = codes[checked((int)(column * words + word))];
                for (var j = 0; j < 8; j++) weight.SetCode(8 * word + Order[j], column, CodeOf(eight, j));
            }
        }
        return weight;
    }

    private static byte CodeOf(uint word, int lane) => (byte)((word >> (4 * lane)) & 15);
}
