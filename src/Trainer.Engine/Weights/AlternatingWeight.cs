using Trainer.Engine.Weights.Stored;

namespace Trainer.Engine.Weights;

/// <summary>Two matrices of equal shape whose rows alternate, the first one's first.</summary>
internal sealed unsafe class AlternatingWeight(IFrozenWeight even, IFrozenWeight odd) : RowWeight(even.Rows + odd.Rows, even.Columns)
{
    public override WeightForm Form => even.Form;

    public override IReadOnlyList<IFrozenWeight> Parts => [even, odd];

    public override long ByteCount => even.ByteCount + odd.ByteCount;

    public override void Read(long row, long columnBegin, long columnCount, float* destination)
        => (row % 2 == 0 ? even : odd).Read(row / 2, columnBegin, columnCount, destination);

    public override void Dispose()
    {
        even.Dispose();
        odd.Dispose();
    }
}
