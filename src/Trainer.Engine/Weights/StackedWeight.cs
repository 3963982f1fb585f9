using TorchSharp;

namespace Trainer.Engine.Weights;

/// <summary>Two matrices of equal width, one above the other.</summary>
internal sealed unsafe class StackedWeight(IFrozenWeight upper, IFrozenWeight lower) : IFrozenWeight
{
    public long Rows => upper.Rows + lower.Rows;

    public long Columns => upper.Columns;

    public WeightForm Form => upper.Form;

    public long ByteCount => upper.ByteCount + lower.ByteCount;

    public IReadOnlyList<IFrozenWeight> Parts => [upper, lower];

    public torch.Tensor? Resident => null;

    public void Materialize(long rowBegin, long rowCount, float* destination)
    {
        var above = Math.Clamp(upper.Rows - rowBegin, 0, rowCount);
        if (above > 0) upper.Materialize(rowBegin, above, destination);
        if (above < rowCount) lower.Materialize(rowBegin + above - upper.Rows, rowCount - above, destination + above * Columns);
    }

    public void MaterializeBFloat16(long rowBegin, long rowCount, ushort* destination)
    {
        var above = Math.Clamp(upper.Rows - rowBegin, 0, rowCount);
        if (above > 0) upper.MaterializeBFloat16(rowBegin, above, destination);
        if (above < rowCount) lower.MaterializeBFloat16(rowBegin + above - upper.Rows, rowCount - above, destination + above * Columns);
    }

    public void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        if (row < upper.Rows) upper.Read(row, columnBegin, columnCount, destination);
        else lower.Read(row - upper.Rows, columnBegin, columnCount, destination);
    }

    public void Dispose()
    {
        upper.Dispose();
        lower.Dispose();
    }
}
