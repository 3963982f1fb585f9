using Trainer.Numerics.Half;

namespace Trainer.Engine.Weights.Stored;

/// <summary>A matrix in 8-bit floats (E4M3) over a mapped file, with a scale for the whole, for each row, or for each block.</summary>
/// <remarks>W[i,j] = round(E4M3[code[i,j]] scale[i / blockRows, j / blockColumns]); the last block of a side may be cut.</remarks>
internal sealed unsafe class Fp8Weight(long rows, long columns, byte* codes, float[] scales, long blockRows, long blockColumns, ProductType type)
    : RowWeight(rows, columns)
{
    private readonly long _gridColumns = (columns + blockColumns - 1) / blockColumns;

    public override WeightForm Form => WeightForm.Fp8;

    public override long ByteCount => Rows * Columns + scales.Length * sizeof(float);

    /// <summary>The codes lie in the mapped file, which is not this weight's.</summary>
    public override void Dispose()
    {
    }

    public override void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        var values = Float8Bits.E4M3;
        var source = codes + row * Columns;
        var grid = row / blockRows * _gridColumns;
        for (long at = columnBegin, end = columnBegin + columnCount; at < end;)
        {
            var next = Math.Min(end, (at / blockColumns + 1) * blockColumns);
            var scale = scales[grid + at / blockColumns];
            for (; at < next; at++) destination[at - columnBegin] = type.Round(values[source[at]] * scale);
        }
    }
}
