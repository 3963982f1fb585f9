namespace Trainer.Engine.Weights.Stored;

/// <summary>AWQ's gemv layout: rows of output features, eight codes or zero points in a word, in order; groups are padded to whole words and more.</summary>
/// <remarks>
/// <code>
/// qweight I32 [out, in/8]   qzeros I32 [out, w]   scales F16 [out, 8 w], w words or more than the groups need
/// W[o,i] = fp16((q - z) scales[o,g]), g = i / group size
/// </code>
/// </remarks>
internal static class AwqGemvLayout
{
    private const int Bits = 4;

    /// <summary>Reads one weight.</summary>
    public static IntegerWeight Read(WeightFiles files, Models.Config.StoredQuantization stored, string name, long rows, long columns)
    {
        var (groups, zerosName, scalesName) = (StoredMatrix.Groups(stored, columns), StoredMatrix.Part(name, "qzeros"), StoredMatrix.Part(name, "scales"));
        var width = files.Has(zerosName) && files.Entry(zerosName).Shape is [_, var found] ? found : PackedCodes.Words(groups, Bits);
        if (width < PackedCodes.Words(groups, Bits))
            throw StoredMatrix.Damaged(files, zerosName, $"its {width} words a row hold fewer than {groups} zero points");
        var packedZeros = new PackedCodes(StoredMatrix.Words(files, zerosName, rows, width), Bits);
        var (padded, type) = StoredMatrix.Scales(files, scalesName, groups, [rows, 8 * width]);
        var (scales, zeros) = (new float[rows * groups], new byte[rows * groups]);
        for (long row = 0; row < rows; row++)
        {
            for (var group = 0; group < groups; group++)
            {
                scales[row * groups + group] = padded[row * 8 * width + group];
                zeros[row * groups + group] = (byte)packedZeros[row * width, group];
            }
        }
        var weight = new IntegerWeight(rows, columns, Bits, StoredMatrix.GroupsInOrder(stored, columns), scales, zeros, type);
        var words = PackedCodes.Words(columns, Bits);
        var codes = new PackedCodes(StoredMatrix.Words(files, StoredMatrix.Part(name, "qweight"), rows, words), Bits);
        for (long row = 0; row < rows; row++)
            for (long column = 0; column < columns; column++) weight.SetCode(row, column, codes[row * words, column]);
        return weight;
    }
}
