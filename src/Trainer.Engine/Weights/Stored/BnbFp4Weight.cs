namespace Trainer.Engine.Weights.Stored;

/// <summary>A matrix in bitsandbytes' 4-bit floats: a table of 16 values, and a largest value for each block of the flattened matrix.</summary>
/// <remarks>W[k] = table[code[k]] absmax[k / block]; two codes to a byte, the first in the high nibble.</remarks>
internal sealed unsafe class BnbFp4Weight(long rows, long columns, byte* codes, float[] table, float[] absmax, int block) : RowWeight(rows, columns)
{
    public override WeightForm Form => WeightForm.Fp4;

    public override long ByteCount => (Rows * Columns + 1) / 2 + absmax.LongLength * sizeof(float);

    public override void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        var begin = row * Columns + columnBegin;
        for (long i = 0; i < columnCount; i++)
        {
            var at = begin + i;
            destination[i] = table[(codes[at / 2] >> ((at & 1) == 0 ? 4 : 0)) & 15] * absmax[at / block];
        }
    }

    /// <summary>Codes lie in the mapped file, which is not this weight's.</summary>
    public override void Dispose()
    {
    }
}
