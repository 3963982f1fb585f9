namespace Trainer.Engine.Weights.Stored;

/// <summary>GPTQ's 4-bit layout: codes of eight input features in a word, zero points of eight output features in a word, a table of groups.</summary>
/// <remarks>
/// <code>
/// qweight I32 [in/8, out]      row 8k + j of the transposed matrix in bits 4j
/// qzeros  I32 [groups, out/8]  stored minus one in the first format
/// scales  F16 [groups, out]    g_idx I32 [in]    W[o,i] = fp16(scales[g,o] (q - z)), g = g_idx[i]
/// </code>
/// </remarks>
internal static class GptqLayout
{
    /// <summary>Reads one weight, its order undone.</summary>
    public static Int4Weight Read(WeightFiles files, Models.Config.StoredQuantization stored, string name, long rows, long columns)
    {
        var (words, groups) = ((columns + 7) / 8, StoredMatrix.Groups(stored, columns));
        var (byGroup, type) = StoredMatrix.Scales(files, StoredMatrix.Part(name, "scales"), groups, rows);
        var packedZeros = StoredMatrix.Words(files, StoredMatrix.Part(name, "qzeros"), groups, (rows + 7) / 8);
        var (scales, zeros) = (new float[rows * groups], new byte[rows * groups]);
        for (long row = 0; row < rows; row++)
        {
            for (var group = 0; group < groups; group++)
            {
                scales[row * groups + group] = byGroup[group * rows + row];
                var zero = Int4Weight.CodeOf(packedZeros[checked((int)(group * ((rows + 7) / 8) + row / 8))], row % 8);
                zeros[row * groups + group] = (byte)((zero + (stored.ZerosMinusOne ? 1u : 0u)) & 15);
            }
        }
        var table = StoredMatrix.Part(name, "g_idx");
        var ofColumn = files.Has(table) ? StoredMatrix.GroupsByTable(files, table, columns, groups) : StoredMatrix.GroupsInOrder(stored, columns);
        var weight = new Int4Weight(rows, columns, ofColumn, scales, zeros, type);
        var codes = StoredMatrix.Words(files, StoredMatrix.Part(name, "qweight"), words, rows);
        for (long word = 0; word < words; word++)
        {
            for (long row = 0; row < rows; row++) weight.SetCodes(row, 8 * word, codes[checked((int)(word * rows + row))]);
        }
        return weight;
    }
}
