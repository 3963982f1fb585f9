using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Numerics.Half;

namespace Trainer.Engine.Weights.Stored;

/// <summary>A matrix whose rows are decoded a part at a time; a form has to say how one part of a row is read, and nothing else.</summary>
internal abstract unsafe class RowWeight(long rows, long columns) : IFrozenWeight
{
    private const long Grain = 1 << 14;

    public long Rows { get; } = rows;

    public long Columns { get; } = columns;

    public abstract WeightForm Form { get; }

    public virtual IReadOnlyList<IFrozenWeight> Parts => [];

    public abstract long ByteCount { get; }

    public torch.Tensor? Resident => null;

    public abstract void Read(long row, long columnBegin, long columnCount, float* destination);

    public virtual void Materialize(long rowBegin, long rowCount, float* destination)
    {
        ComputeThreads.For(0, rowCount, Math.Max(1, Grain / Columns), (from, to) =>
        {
            for (var r = from; r < to; r++) Read(rowBegin + r, 0, Columns, destination + r * Columns);
        });
        GC.KeepAlive(this);
    }

    public void MaterializeBFloat16(long rowBegin, long rowCount, ushort* destination)
    {
        ComputeThreads.For(0, rowCount, Math.Max(1, Grain / Columns), (from, to) =>
        {
            const int Chunk = 512;
            var values = stackalloc float[Chunk];
            for (var r = from; r < to; r++)
            {
                for (long at = 0; at < Columns; at += Chunk)
                {
                    var count = Math.Min(Chunk, Columns - at);
                    Read(rowBegin + r, at, count, values);
                    BFloat16Bits.FromFloat(values, destination + r * Columns + at, count);
                }
            }
        });
        GC.KeepAlive(this);
    }

    public abstract void Dispose();
}
