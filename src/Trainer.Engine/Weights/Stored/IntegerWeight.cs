namespace Trainer.Engine.Weights.Stored;

/// <summary>A matrix in unsigned codes of 2 to 8 bits with a scale and a zero point for each group of columns (GPTQ, AWQ and compressed-tensors, after their
/// order is undone).</summary>
/// <remarks>W[i,j] = round((code[i,j] - zero[i,g]) scale[i,g]), g the group of column j: j / group size, or a table where the columns were sorted by
/// activation. Codes of up to four bits lie two to a byte.</remarks>
internal sealed unsafe class IntegerWeight : RowWeight
{
    private readonly NativeBlock _memory;
    private readonly long _rowBytes;
    private readonly bool _isWide;
    private readonly int[] _groupOfColumn;
    private readonly float[] _scales;
    private readonly byte[] _zeros;
    private readonly int _groups;
    private readonly ProductType _type;

    /// <summary>Room for the codes, all 0; fill them by <see cref="SetCode"/>.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="groupOfColumn">[columns] group of each column.</param>
    /// <param name="scales">[rows, groups].</param>
    /// <param name="zeros">[rows, groups] zero points in codes.</param>
    /// <param name="type">Rounding of the products.</param>
    public IntegerWeight(long rows, long columns, int bits, int[] groupOfColumn, float[] scales, byte[] zeros, ProductType type)
        : base(rows, columns)
    {
        _isWide = bits > 4;
        _rowBytes = _isWide ? columns : (columns + 1) / 2;
        _memory = new NativeBlock(rows * _rowBytes);
        System.Runtime.InteropServices.NativeMemory.Clear(_memory.Start, (nuint)_memory.Length);
        (_groupOfColumn, _scales, _zeros, _type) = (groupOfColumn, scales, zeros, type);
        _groups = checked((int)(scales.LongLength / rows));
    }

    public override WeightForm Form => _isWide ? WeightForm.GroupedInt8 : WeightForm.Int4;

    public override long ByteCount => _memory.Length + _scales.LongLength * 5 + _groupOfColumn.LongLength * sizeof(int);

    /// <summary>Sets one code, once.</summary>
    /// <param name="row">The row.</param>
    /// <param name="column">The column.</param>
    /// <param name="code">Not above what its bits hold.</param>
    public void SetCode(long row, long column, uint code)
    {
        if (_isWide) _memory.Start[row * _rowBytes + column] = (byte)code;
        else _memory.Start[row * _rowBytes + column / 2] |= (byte)(code << (int)(4 * (column & 1)));
    }

    public override void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        var codes = _memory.Start + row * _rowBytes;
        var of = row * _groups;
        if (_isWide)
        {
            for (var at = columnBegin; at < columnBegin + columnCount; at++) destination[at - columnBegin] = Value(of + _groupOfColumn[at], codes[at]);
            return;
        }
        var values = stackalloc float[16];
        var current = -1;
        for (var at = columnBegin; at < columnBegin + columnCount; at++)
        {
            var group = _groupOfColumn[at];
            var code = (codes[at / 2] >> (int)(4 * (at & 1))) & 15;
            if (group == current)
            {
                destination[at - columnBegin] = values[code];
                continue;
            }
            // Columns sorted by activation change their group at each step: a table pays where the next column stays in the group.
            if (at + 1 < Columns && _groupOfColumn[at + 1] == group)
            {
                for (var c = 0; c < 16; c++) values[c] = Value(of + group, c);
                current = group;
                destination[at - columnBegin] = values[code];
            }
            else destination[at - columnBegin] = Value(of + group, code);
        }
    }

    public override void Dispose() => _memory.Dispose();

    private float Value(long group, int code) => _type.Round((code - _zeros[group]) * _scales[group]);
}
