namespace Trainer.Engine.Weights.Stored;

/// <summary>A matrix in 4-bit floats with an exponent for each 32 columns (MXFP4), over a mapped file.</summary>
/// <remarks>
/// <code>
/// W[i,j] = E2M1[nibble] 2^(scale - 127)      two columns to a byte, the first in the low nibble; 16 bytes and one scale a block
/// </code>
/// OCP Microscaling formats, version 1.0, 2023.
/// </remarks>
internal sealed unsafe class Mxfp4Weight(long rows, long columns, byte* blocks, byte* scales) : RowWeight(rows, columns)
{
    /// <summary>Columns that share a scale.</summary>
    public const int BlockColumns = 32;

    private static ReadOnlySpan<float> Values => [0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6];

    public override WeightForm Form => WeightForm.Mxfp4;

    public override long ByteCount => Rows * Columns / 2 + Rows * Columns / BlockColumns;

    public override void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        var values = Values;
        var codes = blocks + row * (Columns / 2);
        var exponents = scales + row * (Columns / BlockColumns);
        for (long at = columnBegin, end = columnBegin + columnCount; at < end;)
        {
            var next = Math.Min(end, (at / BlockColumns + 1) * BlockColumns);
            var scale = MathF.ScaleB(1, exponents[at / BlockColumns] - 127);
            for (; at < next; at++) destination[at - columnBegin] = values[(codes[at / 2] >> (int)(4 * (at & 1))) & 15] * scale;
        }
    }

    /// <summary>Codes and scales lie in the mapped file, which is not this weight's.</summary>
    public override void Dispose()
    {
    }
}
