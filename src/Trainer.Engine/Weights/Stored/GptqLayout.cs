namespace Trainer.Engine.Weights.Stored;

/// <summary>GPTQ's layout: codes of input features in words, zero points of output features in words, a table of groups.</summary>
/// <remarks>
/// <code>
/// qweight I32 [in bits / 32, out]      codes of one output feature follow each other down its column of words
/// qzeros  I32 [groups, out bits / 32]  stored minus one in the first format
/// scales  F16 [groups, out]            g_idx I32 [in]    W[o,i] = fp16(scales[g,o] (q - z)), g = g_idx[i]
/// </code>
/// </remarks>
internal static class GptqLayout
{
    /// <summary>Reads one weight, its order undone.</summary>
    public static IntegerWeight Read(WeightFiles files, Models.Config.StoredQuantization stored, string name, long rows, long columns)
    {
        var (bits, groups) = (stored.Bits, StoredMatrix.Groups(stored, columns));
        var (byGroup, type) = StoredMatrix.Scales(files, StoredMatrix.Part(name, "scales"), groups, rows);
        var zeroWords = PackedCodes.Words(rows, bits);
        var packedZeros = new PackedCodes(StoredMatrix.Words(files, StoredMatrix.Part(name, "qzeros"), groups, zeroWords), bits);
        var (scales, zeros, mask, less) = (new float[rows * groups], new byte[rows * groups], (1u << bits) - 1, stored.ZerosMinusOne ? 1u : 0u);
        for (long row = 0; row < rows; row++)
        {
            for (var group = 0; group < groups; group++)
            {
                scales[row * groups + group] = byGroup[group * rows + row];
                zeros[row * groups + group] = (byte)((packedZeros[group * zeroWords, row] + less) & mask);
            }
        }
        var table = StoredMatrix.Part(name, "g_idx");
        var ofColumn = files.Has(table) ? StoredMatrix.GroupsByTable(files, table, columns, groups) : StoredMatrix.GroupsInOrder(stored, columns);
        var weight = new IntegerWeight(rows, columns, bits, ofColumn, scales, zeros, type);
        var codes = new PackedCodes(StoredMatrix.Words(files, StoredMatrix.Part(name, "qweight"), PackedCodes.Words(columns, bits), rows), bits, rows);
        for (long column = 0; column < columns; column++)
            for (long row = 0; row < rows; row++) weight.SetCode(row, column, codes[row, column]);
        return weight;
    }
}
