using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics.Products;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>A frozen matrix as the right operand of <see cref="TileProduct"/>: parts of it are written out and packed where a thread needs them.</summary>
internal readonly unsafe struct TileOperand
{
    /// <summary>Parts begin and end at multiples of this where the matrix does: a 4-bit block.</summary>
    public const long Unit = 64;

    /// <summary>Floats that packing needs aside.</summary>
    public const long RoomFloats = TileProduct.Columns * Unit;

    private readonly IFrozenWeight _weight;
    private readonly float* _values;
    private readonly long _row;
    private readonly long _rows;
    private readonly bool _turned;

    private TileOperand(IFrozenWeight weight, long row, long rows, bool turned)
    {
        (_weight, _row, _rows, _turned) = (weight, row, rows, turned);
        _values = weight.Resident is { } resident ? TorchMemory.Pointer(resident) : null;
    }

    /// <summary>Length of the sums.</summary>
    public long Depth => _turned ? _weight.Columns : _rows;

    /// <summary>Columns of the product.</summary>
    public long Columns => _turned ? _rows : _weight.Columns;

    /// <summary>Rows [row, row + rows) of W, turned: the sums run over the input features.</summary>
    public static TileOperand Transposed(IFrozenWeight weight, long row, long rows) => new(weight, row, rows, true);

    /// <summary>Rows [row, row + rows) of W as they are: the sums run over these output features.</summary>
    public static TileOperand Plain(IFrozenWeight weight, long row, long rows) => new(weight, row, rows, false);

    /// <summary>Packs columns [column, column + count) of depths [depth, depth + length), tile after tile, missing columns as zeros.</summary>
    /// <param name="column">First column.</param>
    /// <param name="count">Columns, at most 4 x 64.</param>
    /// <param name="depth">First index of the sums.</param>
    /// <param name="length">How many.</param>
    /// <param name="packed">A (length, 32) block for each tile.</param>
    /// <param name="room"><see cref="RoomFloats"/> floats.</param>
    public void Pack(long column, long count, long depth, long length, float* packed, float* room)
    {
        if (_turned) PackRows(column, count, depth, length, packed, room);
        else PackColumns(column, count, depth, length, packed, room);
    }

    /// <summary>Asks the cache for what <see cref="Pack"/> will read.</summary>
    public void Prefetch(long column, long count, long depth, long length)
    {
        if (_values != null) return;
        var (row, rows, first, columns) = _turned ? (column, count, depth, length) : (depth, length, column, count);
        for (var r = row; r < row + rows; r++) _weight.Prefetch(_row + r, first, columns);
    }

    // Columns of the product are rows of W: 32 rows by 64 columns are written out and turned while they are in the first-level cache.
    private void PackRows(long column, long count, long depth, long length, float* packed, float* room)
    {
        for (long row = 0; row < count; row += TileProduct.Columns)
        {
            var there = (int)Math.Min(TileProduct.Columns, count - row);
            for (long at = 0; at < length; at += Unit)
            {
                var wide = Math.Min(Unit, length - at);
                var part = Part(column + row, there, depth + at, wide, room, out var stride);
                var target = packed + row * length + at * TileProduct.Columns;
                for (var first = 0; first < TileProduct.Columns; first += TileProduct.Rows)
                    TilePacking.Transpose(part + first * stride, stride, Math.Clamp(there - first, 0, TileProduct.Rows), wide, target + first,
                        TileProduct.Columns);
            }
        }
    }

    // Columns of the product are columns of W: some rows at a time are written out and cut into the tiles they belong to.
    private void PackColumns(long column, long count, long depth, long length, float* packed, float* room)
    {
        for (long row = 0; row < length; row += TileProduct.Rows)
        {
            var there = (int)Math.Min(TileProduct.Rows, length - row);
            var part = Part(depth + row, there, column, count, room, out var stride);
            for (long first = 0; first < count; first += TileProduct.Columns)
                TilePacking.Columns(part + first, stride, (int)Math.Min(TileProduct.Columns, count - first), there,
                    packed + first * length + row * TileProduct.Columns);
        }
    }

    private float* Part(long row, int count, long column, long wide, float* room, out long stride)
    {
        if (_values != null)
        {
            stride = _weight.Columns;
            return _values + (_row + row) * stride + column;
        }
        for (var i = 0; i < count; i++) _weight.Read(_row + row + i, column, wide, room + i * wide);
        stride = wide;
        return room;
    }
}
