using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Numerics.Half;

namespace Trainer.Engine.Weights;

/// <summary>The transpose of a matrix that lies [columns, rows] in a file, written out a block at a time.</summary>
internal sealed unsafe class TransposedWeight(DenseWeight stored) : IFrozenWeight
{
    private const long Block = 64;

    public long Rows => stored.Columns;

    public long Columns => stored.Rows;

    public WeightForm Form => stored.Form;

    public long ByteCount => stored.ByteCount;

    public IReadOnlyList<IFrozenWeight> Parts => [stored];

    public torch.Tensor? Resident => null;

    public void Materialize(long rowBegin, long rowCount, float* destination)
    {
        var columns = Columns;
        ComputeThreads.For(0, (rowCount + Block - 1) / Block, 1, (from, to) =>
        {
            var line = stackalloc float[(int)Block];
            for (var block = from; block < to; block++)
            {
                var (first, count) = (block * Block, Math.Min(Block, rowCount - block * Block));
                for (long column = 0; column < columns; column++)
                {
                    stored.Read(column, rowBegin + first, count, line);
                    for (long row = 0; row < count; row++) destination[(first + row) * columns + column] = line[row];
                }
            }
        });
    }

    public void MaterializeBFloat16(long rowBegin, long rowCount, ushort* destination)
    {
        var values = new float[Columns];
        fixed (float* line = values)
        {
            for (long row = 0; row < rowCount; row++)
            {
                Materialize(rowBegin + row, 1, line);
                BFloat16Bits.FromFloat(line, destination + row * Columns, Columns);
            }
        }
    }

    public void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        for (long column = 0; column < columnCount; column++) stored.Read(columnBegin + column, row, 1, destination + column);
    }

    public void Dispose() => stored.Dispose();
}
