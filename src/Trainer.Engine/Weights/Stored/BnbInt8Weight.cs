namespace Trainer.Engine.Weights.Stored;

/// <summary>A matrix in bitsandbytes' 8-bit integers over a mapped file: a largest value for each row.</summary>
/// <remarks>W[i,j] = code[i,j] SCB[i] / 127 in float32, in this order and with the reciprocal that bitsandbytes multiplies by.</remarks>
internal sealed unsafe class BnbInt8Weight(long rows, long columns, sbyte* codes, float* largest) : RowWeight(rows, columns)
{
    private const float Reciprocal = 7.874015718698502e-3f;

    public override WeightForm Form => WeightForm.GroupedInt8;

    public override long ByteCount => Rows * Columns + Rows * sizeof(float);

    public override void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        var (source, scale) = ((long)codes + row * Columns + columnBegin, largest[row]);
        for (long i = 0; i < columnCount; i++)
        {
            var product = ((sbyte*)source)[i] * scale;
            destination[i] = product * Reciprocal;
        }
    }

    /// <summary>Codes lie in the mapped file, which is not this weight's.</summary>
    public override void Dispose()
    {
    }
}
