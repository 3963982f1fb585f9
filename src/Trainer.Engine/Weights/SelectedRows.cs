using Trainer.Engine.Native;
using Trainer.Engine.Weights.Stored;

namespace Trainer.Engine.Weights;

/// <summary>Every so many rows of another matrix, which is not this one's and must outlive it.</summary>
internal sealed unsafe class SelectedRows(IFrozenWeight source, long first, long step, long rows) : RowWeight(rows, source.Columns)
{
    public override WeightForm Form => source.Form;

    public override IReadOnlyList<IFrozenWeight> Parts => [source];

    public override long ByteCount => 0;

    public override void Read(long row, long columnBegin, long columnCount, float* destination)
        => source.Read(first + step * row, columnBegin, columnCount, destination);

    // A matrix that lies transposed is read many rows at a time or not at all.
    public override void Materialize(long rowBegin, long rowCount, float* destination)
    {
        if (step == 1)
        {
            source.Materialize(first + rowBegin, rowCount, destination);
            return;
        }
        var span = step * (rowCount - 1) + 1;
        using var all = new NativeBlock(span * Columns * sizeof(float));
        var values = (float*)all.Start;
        source.Materialize(first + step * rowBegin, span, values);
        for (long row = 0; row < rowCount; row++)
            Buffer.MemoryCopy(values + step * row * Columns, destination + row * Columns, Columns * sizeof(float), Columns * sizeof(float));
    }

    public override void Dispose()
    {
    }
}
