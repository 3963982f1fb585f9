using TorchSharp;

namespace Trainer.Engine.Weights;

/// <summary>Two matrices of equal shape whose rows alternate, the first one's first.</summary>
internal sealed unsafe class AlternatingWeight(IFrozenWeight even, IFrozenWeight odd) : IFrozenWeight
{
    public long Rows => even.Rows + odd.Rows;

    public long Columns => even.Columns;

    public string Form => even.Form;

    public long ByteCount => even.ByteCount + odd.ByteCount;

    public torch.Tensor? Resident => null;

    public void Materialize(long rowBegin, long rowCount, float* destination)
    {
        for (var row = rowBegin; row < rowBegin + rowCount; row++) Of(row).Materialize(row / 2, 1, destination + (row - rowBegin) * Columns);
    }

    public void MaterializeBFloat16(long rowBegin, long rowCount, ushort* destination)
    {
        for (var row = rowBegin; row < rowBegin + rowCount; row++) Of(row).MaterializeBFloat16(row / 2, 1, destination + (row - rowBegin) * Columns);
    }

    public void Read(long row, long columnBegin, long columnCount, float* destination) => Of(row).Read(row / 2, columnBegin, columnCount, destination);

    public void Dispose()
    {
        even.Dispose();
        odd.Dispose();
    }

    private IFrozenWeight Of(long row) => row % 2 == 0 ? even : odd;
}
