namespace Trainer.Numerics.Nf4;

/// <summary>A fp32 sum in the order of libtorch's CPU reduction (cascade sum, eight lanes, four rows), single-threaded.</summary>
/// <remarks>
/// The offset of double quantization is a mean that libtorch computes; one bit more or less moves codes, so the order of its additions is part of the format.
/// Order: values go to (row, lane) = (vector mod 4, index mod 8); each row adds up in levels of 2^power vectors; rows, then the tail, then lanes are added.
/// </remarks>
internal static class TorchSum
{
    private const int Rows = 4;
    private const int Levels = 4;

    internal static float Of(ReadOnlySpan<float> values)
    {
        // Fewer than a vector: libtorch runs the same scheme with one lane.
        var lanes = values.Length < 8 ? 1 : 8;
        var vectors = values.Length / lanes;
        var rowLength = vectors / Rows;
        var sums = new float[Rows * lanes];
        if (rowLength > 0) AddLevels(values, rowLength, Rows * lanes, sums);
        for (var v = rowLength * Rows; v < vectors; v++)
            for (var l = 0; l < lanes; l++) sums[l] += values[v * lanes + l];
        for (var row = 1; row < Rows; row++)
            for (var l = 0; l < lanes; l++) sums[l] += sums[row * lanes + l];
        if (lanes == 1) return sums[0];
        var total = 0f;
        for (var i = vectors * lanes; i < values.Length; i++) total += values[i];
        for (var l = 0; l < lanes; l++) total += sums[l];
        return total;
    }

    private static void AddLevels(ReadOnlySpan<float> values, int count, int width, float[] result)
    {
        var power = Math.Max(4, CeilLog2(count) / Levels);
        var step = 1 << power;
        var mask = step - 1;
        var sums = new float[Levels, width];
        var i = 0;
        while (i + step <= count)
        {
            for (var j = 0; j < step; j++, i++)
                for (var k = 0; k < width; k++) sums[0, k] += values[i * width + k];
            for (var level = 1; level < Levels; level++)
            {
                for (var k = 0; k < width; k++)
                {
                    sums[level, k] += sums[level - 1, k];
                    sums[level - 1, k] = 0f;
                }
                if ((i & (mask << (level * power))) != 0) break;
            }
        }
        for (; i < count; i++)
            for (var k = 0; k < width; k++) sums[0, k] += values[i * width + k];
        for (var level = 1; level < Levels; level++)
            for (var k = 0; k < width; k++) sums[0, k] += sums[level, k];
        for (var k = 0; k < width; k++) result[k] = sums[0, k];
    }

    private static int CeilLog2(int x) => x <= 2 ? 1 : 32 - int.LeadingZeroCount(x - 1);
}
