using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics.Products;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Frozen products in float32 by register tiles of our own: weights go from their stored form straight into the packed form that the tiles
/// read.</summary>
/// <remarks>
/// A block of the depth (the index of the sums) at a time: the activations are packed once and shared; then threads take chunks of columns, write that part
/// of W out and pack it into a scratch that stays in the second-level cache, and run all rows over it. No matrix in float32 exists at any time.
/// Where such chunks do not feed all threads the rows are cut too, and each part of them has the chunk written out anew.
/// Every element is a chain of sums for each block of the depth, whoever computes it: results do not depend on the number of threads or of rows.
/// </remarks>
internal sealed unsafe class TiledProduct(PanelPlan panels) : IFrozenProduct
{
    // A packed chunk is 256 KiB (part of a second-level cache), a row tile of activations 16 KiB (half a first-level one).
    private const long BlockDepth = 512;
    private const long MostColumns = 128;
    // Rows of W that are gone through at a time: results of these stay in the third-level cache between blocks of the depth, and a streamed head is resident in
    // parts.
    private const long WindowRows = 2048;
    // Tiles of rows that a chunk of W is worth writing out for, and rows that the writing out takes as long as.
    private const long LeastRowTiles = 4;
    private const long WritingOutRows = 16;
    // From more threads on loops are so short that their ends count.
    private const int ManyThreads = 16;
    // Tiles of rows that are packed at a time.
    private const long PackedTiles = 4;
    private const long ChunkFloats = BlockDepth * MostColumns;
    private const long EdgeFloats = TileProduct.Rows * TileProduct.Columns;
    private const long ScratchFloats = ChunkFloats + TileOperand.RoomFloats + EdgeFloats;

    /// <summary>Scratch for T rows of activations, whatever the matrices.</summary>
    public static IEnumerable<PassBuffer> Buffers(long tokens, int threads) =>
        [new(BufferUse.Scratch, new(BufferId.PackedRows), 2 * BlocksAtOnce(threads) * PackedFloats(tokens)),
            new(BufferUse.Scratch, new(BufferId.TileScratch), threads * ScratchFloats)];

    public void Forward(ProductRoom room, IFrozenWeight weight, float* x, long rows, float* y, long stride, float factor)
    {
        var left = new Left(x, weight.Columns, rows, factor);
        Run(room, weight, left, panels.Parts(weight, Window(weight, room.Threads)), part
            => Stages(room, TileOperand.Transposed(weight, part.Begin, part.Count), Blocks(0, weight.Columns, false), y + part.Begin), stride);
    }

    public void InputGradient(ProductRoom room, IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor)
    {
        var (left, whole) = (new Left(dy, stride, rows, factor), TileOperand.Plain(weight, 0, weight.Rows));
        Run(room, weight, left, panels.Parts(weight, WindowRows), part
            => Stages(room, whole, Blocks(part.Begin, part.Count, add || part.Begin > 0), dx), weight.Columns);
    }

    // Many threads have large caches together, and a small window has few chunks for them; one is enough where each chunk is done with at once. A streamed
    // head comes and goes by windows.
    private long Window(IFrozenWeight weight, int threads)
    {
        if (IsStreamed(weight)) return WindowRows;
        return Blocks(0, weight.Columns, false).Length <= BlocksAtOnce(threads) ? weight.Rows : Math.Max(WindowRows, 2 * TileOperand.Unit * threads);
    }

    private bool IsStreamed(IFrozenWeight weight) => panels.HeadPages is { } pages && pages.Covers(weight);

    // The stages of all windows are one row. Windows of a head that comes and goes are gone through one by one, as each is there.
    private void Run(ProductRoom room, IFrozenWeight weight, Left left, IEnumerable<(long Begin, long Count)> windows,
        Func<(long Begin, long Count), IEnumerable<Stage>> stages, long stride)
    {
        if (!IsStreamed(weight)) Run(room, left, [.. windows.SelectMany(stages)], stride);
        else
            foreach (var window in windows) Run(room, left, [.. stages(window)], stride);
        GC.KeepAlive(weight);
    }

    private static IEnumerable<Stage> Stages(ProductRoom room, TileOperand weight, Block[] blocks, float* c)
    {
        var (most, target) = (BlocksAtOnce(room.Threads), (IntPtr)c);
        return Enumerable.Range(0, (int)Tiles(blocks.Length, most))
            .Select(i => new Stage(weight, new(blocks, i * most, Math.Min(most, blocks.Length - i * most)), target));
    }

    // One loop for each stage: while its blocks of the depth are multiplied, the activations of the next stage's are packed into the other half of their room.
    private static void Run(ProductRoom room, Left left, Stage[] stages, long stride)
    {
        float* packed = room.Memory.Floats(BufferId.PackedRows), other = packed + BlocksAtOnce(room.Threads) * PackedFloats(left.Rows);
        var scratch = room.Memory.Floats(BufferId.TileScratch);
        var tiles = Tiles(left.Rows, TileProduct.Rows);
        var pieces = Tiles(tiles, PackedTiles);
        for (var s = -1; s < stages.Length; s++)
        {
            var (now, next) = ((IntPtr)packed, (IntPtr)other);
            var stage = s < 0 ? default : stages[s];
            var units = s < 0 ? default : new Units(stage.Weight.Columns, left.Rows, room.Threads);
            // Where both have the same part of the depth, what is packed serves the next stage too.
            var following = s + 1 == stages.Length || (s >= 0 && stage.HasDepthOf(stages[s + 1])) ? ArraySegment<Block>.Empty : stages[s + 1].Blocks;
            var packing = pieces * following.Count;
            ComputeThreads.For(0, packing + units.Count, 1, (slot, begin, end) =>
            {
                for (var piece = begin; piece < Math.Min(end, packing); piece++)
                {
                    var (block, tile) = ((int)(piece / pieces), piece % pieces * PackedTiles);
                    PackLeft((float*)next + block * PackedFloats(left.Rows), left, following[block], tile, Math.Min(tiles, tile + PackedTiles));
                }
                Multiply((float*)now, scratch + slot * ScratchFloats, stage, units, Math.Max(0, begin - packing), end - packing, stride);
            }, room.Threads);
            if (following.Count == 0) continue;
            packed = (float*)next;
            other = (float*)now;
        }
    }

    // A loop of many threads is short: more of the depth in it evens out their times and has fewer ends to wait at.
    private static int BlocksAtOnce(int threads) => threads > ManyThreads ? 4 : 1;

    // A window of the depth, in blocks that are as even as can be.
    private static Block[] Blocks(long begin, long depth, bool add)
    {
        var count = Tiles(depth, BlockDepth);
        var length = Tiles(depth, count * TileOperand.Unit) * TileOperand.Unit;
        return [.. Enumerable.Range(0, (int)Tiles(depth, length))
            .Select(i => new Block(begin + i * length, Math.Min(length, depth - i * length), add || i > 0))];
    }

    private static void PackLeft(float* packed, Left left, Block block, long begin, long end)
    {
        for (var row = begin * TileProduct.Rows; row < Math.Min(left.Rows, end * TileProduct.Rows); row += TileProduct.Rows)
        {
            var count = (int)Math.Min(TileProduct.Rows, left.Rows - row);
            TilePacking.Rows(left.Values + row * left.Stride + block.Begin, left.Stride, count, block.Length, left.Factor, packed + row * block.Length);
        }
    }

    private static void Multiply(float* packed, float* scratch, Stage stage, Units units, long first, long last, long stride)
    {
        var (weight, blocks) = (stage.Weight, stage.Blocks);
        var c = (float*)stage.Target;
        var edge = scratch + ChunkFloats + TileOperand.RoomFloats;
        for (var unit = first; unit < last; unit++)
        {
            var (column, wide, begin, end) = units.At(unit);
            // The codes that are wanted next are asked for late, so that this chunk's operands do not push them out of the cache again. Where all threads are
            // alike busy, each has its turn again after the others.
            var late = begin + (end - begin) / TileProduct.Rows * 3 / 4 * TileProduct.Rows;
            var following = unit + 1 < last ? unit + 1 : last + (units.Threads - 1L) * (last - first);
            for (var i = 0; i < blocks.Count; i++)
            {
                var block = blocks[i];
                var left = packed + i * PackedFloats(units.Rows);
                weight.Pack(column, wide, block.Begin, block.Length, scratch, scratch + ChunkFloats);
                Rows(left, begin, late, wide, block, scratch, c + column, stride, edge);
                if (i + 1 < blocks.Count) weight.Prefetch(column, wide, blocks[i + 1].Begin, blocks[i + 1].Length);
                else if (following < units.Count) weight.Prefetch(units.At(following).Column, units.At(following).Wide, blocks[0].Begin, blocks[0].Length);
                Rows(left, late, end, wide, block, scratch, c + column, stride, edge);
            }
        }
    }

    /// <summary>
    /// Into how many parts rows are cut: one where the chunks of columns feed every thread evenly, else what costs least in rows that the busiest thread goes
    /// through, the writing out of a chunk counted as so many rows.
    /// </summary>
    internal static long RowParts(long chunks, long rows, int threads)
    {
        var most = Math.Max(1, Tiles(rows, TileProduct.Rows * LeastRowTiles));
        long best = 1, least = long.MaxValue;
        for (long parts = 1; parts <= Math.Min(most, 4 * Math.Max(1, Tiles(threads, chunks))); parts++)
        {
            var high = Tiles(rows, TileProduct.Rows * parts) * TileProduct.Rows;
            var cost = Tiles(chunks * Tiles(rows, high), threads) * (high + WritingOutRows);
            if (cost < least) (best, least) = (parts, cost);
        }
        return best;
    }

    private static void Rows(float* left, long begin, long end, long columns, Block block, float* packed, float* c, long stride, float* edge)
    {
        for (var row = begin; row < end; row += TileProduct.Rows)
        {
            for (long column = 0; column < columns; column += TileProduct.Columns)
            {
                float* a = left + row * block.Length, b = packed + column * block.Length, target = c + row * stride + column;
                var (high, wide) = (Math.Min(TileProduct.Rows, end - row), Math.Min(TileProduct.Columns, columns - column));
                if (high == TileProduct.Rows && wide == TileProduct.Columns)
                {
                    TileProduct.Run(a, b, block.Length, target, stride, block.IsAdded);
                    continue;
                }
                TileProduct.Run(a, b, block.Length, edge, TileProduct.Columns, false);
                for (long i = 0; i < high; i++)
                    for (long j = 0; j < wide; j++) target[i * stride + j] = edge[i * TileProduct.Columns + j] + (block.IsAdded ? target[i * stride + j] : 0f);
            }
        }
    }

    private static long PackedFloats(long tokens) => Tiles(tokens, TileProduct.Rows) * TileProduct.Rows * BlockDepth;

    private static long Tiles(long count, long size) => (count + size - 1) / size;

    private readonly struct Left(float* values, long stride, long rows, float factor)
    {
        public readonly float* Values = values;
        public readonly long Stride = stride;
        public readonly long Rows = rows;
        public readonly float Factor = factor;
    }

    private readonly record struct Block(long Begin, long Length, bool IsAdded);

    // Some blocks of the depth times the columns of a window, into or onto a result.
    private readonly record struct Stage(TileOperand Weight, ArraySegment<Block> Blocks, IntPtr Target)
    {
        public bool HasDepthOf(Stage other) => Blocks[0].Begin == other.Blocks[0].Begin && Blocks.Count == other.Blocks.Count;
    }

    // What is taken at a time: a chunk of columns with a part of the rows.
    private readonly struct Units
    {
        private readonly long _columns, _chunk, _part, _parts;

        public Units(long columns, long rows, int threads)
        {
            (_columns, Rows, Threads) = (columns, rows, threads);
            // Four chunks a thread even the load out.
            _chunk = Math.Clamp(Tiles(columns, 4L * threads * TileOperand.Unit) * TileOperand.Unit, TileOperand.Unit, MostColumns);
            var chunks = Tiles(columns, _chunk);
            _part = Tiles(rows, TileProduct.Rows * RowParts(chunks, rows, threads)) * TileProduct.Rows;
            _parts = Tiles(rows, _part);
            Count = chunks * _parts;
        }

        public int Threads { get; }

        public long Rows { get; }

        public long Count { get; }

        public (long Column, long Wide, long Begin, long End) At(long unit)
        {
            long column = unit / _parts * _chunk, begin = unit % _parts * _part;
            return (column, Math.Min(_chunk, _columns - column), begin, Math.Min(Rows, begin + _part));
        }
    }
}
