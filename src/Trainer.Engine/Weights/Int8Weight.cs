using Trainer.Engine.Native;
using Trainer.Engine.Weights.Stored;
using Trainer.Numerics.Int8;

namespace Trainer.Engine.Weights;

/// <summary>A matrix in 8 bits with one absmax scale a row.</summary>
internal sealed unsafe class Int8Weight : RowWeight
{
    private readonly NativeBlock _memory;
    private readonly sbyte* _codes;
    private readonly float* _scales;

    private Int8Weight(long rows, long columns)
        : base(rows, columns)
    {
        _memory = new NativeBlock(rows * sizeof(float) + 64 + rows * columns);
        _scales = (float*)_memory.Start;
        _codes = (sbyte*)(_memory.Start + (rows * sizeof(float) + 63) / 64 * 64);
    }

    public override WeightForm Form => WeightForm.Int8;

    public override long ByteCount => _memory.Length;

    /// <summary>Codes, row-major; valid while the weight lives.</summary>
    public sbyte* Codes => _codes;

    /// <summary>One scale a row.</summary>
    public float* Scales => _scales;

    /// <summary>Quantizes a matrix a few rows at a time.</summary>
    public static Int8Weight Quantize(IFrozenWeight dense)
    {
        var result = new Int8Weight(dense.Rows, dense.Columns);
        var codes = result._codes;
        var scales = result._scales;
        var columns = dense.Columns;
        var rows = Math.Clamp((4 << 20) / columns, 1, dense.Rows);
        using var scratch = new NativeBlock(rows * columns * sizeof(float));
        var values = (float*)scratch.Start;
        for (long begin = 0; begin < dense.Rows; begin += rows)
        {
            var (count, start) = (Math.Min(rows, dense.Rows - begin), begin);
            dense.Materialize(begin, count, values);
            ComputeThreads.For(0, count, 16, (from, to) =>
            {
                for (var r = from; r < to; r++) scales[start + r] = Int8Rows.Quantize(values + r * columns, codes + (start + r) * columns, columns);
            });
        }
        return result;
    }

    public override void Read(long row, long columnBegin, long columnCount, float* destination)
        => Int8Rows.ToFloat(_codes + row * Columns + columnBegin, _scales[row], destination, columnCount);

    public override void Dispose() => _memory.Dispose();
}
