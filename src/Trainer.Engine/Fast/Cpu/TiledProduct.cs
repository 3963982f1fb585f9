using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics.Products;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Frozen products in float32 by register tiles of our own: weights go from their stored form straight into the packed form that the tiles
/// read.</summary>
/// <remarks>
/// A block of the depth (the index of the sums) at a time: the activations are packed once and shared; then threads take chunks of columns, write that part of
/// W
/// out and pack it into a scratch that stays in the second-level cache, and run all rows over it. No matrix in float32 exists at any time.
/// Where there are fewer such chunks than threads the rows are cut too, and each part of them has the chunk written out anew.
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
    // Tiles of rows that a chunk of W is worth writing out for.
    private const long LeastRowTiles = 4;
    private const long ChunkFloats = BlockDepth * MostColumns;
    private const long EdgeFloats = TileProduct.Rows * TileProduct.Columns;
    private const long ScratchFloats = ChunkFloats + TileOperand.RoomFloats + EdgeFloats;

    /// <summary>Scratch for T rows of activations, whatever the matrices.</summary>
    public static IEnumerable<PassBuffer> Buffers(long tokens, int threads) =>
        [new(BufferUse.Scratch, new(BufferId.PackedRows), PackedFloats(tokens)), new(BufferUse.Scratch, new(BufferId.TileScratch), threads * ScratchFloats)];

    public void Forward(ProductRoom room, IFrozenWeight weight, float* x, long rows, float* y, long stride, float factor)
    {
        foreach (var (row, count) in panels.Parts(weight, WindowRows))
            Run(room, TileOperand.Transposed(weight, row, count), new Left(x, weight.Columns, rows, factor), y + row, stride, false);
        GC.KeepAlive(weight);
    }

    public void InputGradient(ProductRoom room, IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor)
    {
        foreach (var (row, count) in panels.Parts(weight, WindowRows))
            Run(room, TileOperand.Plain(weight, row, count), new Left(dy + row, stride, rows, factor), dx, weight.Columns, add || row > 0);
        GC.KeepAlive(weight);
    }

    private static void Run(ProductRoom room, TileOperand weight, Left left, float* c, long stride, bool add)
    {
        float* packed = room.Memory.Floats(BufferId.PackedRows), scratch = room.Memory.Floats(BufferId.TileScratch);
        var blocks = Tiles(weight.Depth, BlockDepth);
        var length = Tiles(weight.Depth, blocks * TileOperand.Unit) * TileOperand.Unit;
        for (long depth = 0; depth < weight.Depth; depth += length)
        {
            var block = new Block(depth, Math.Min(length, weight.Depth - depth), add || depth > 0);
            PackLeft(packed, left, block);
            Multiply(packed, scratch, room.Threads, weight, left.Rows, block, c, stride);
        }
    }

    private static void PackLeft(float* packed, Left left, Block block) => TorchThreads.For(0, Tiles(left.Rows, TileProduct.Rows), 4, (begin, end) =>
    {
        for (var row = begin * TileProduct.Rows; row < Math.Min(left.Rows, end * TileProduct.Rows); row += TileProduct.Rows)
        {
            var count = (int)Math.Min(TileProduct.Rows, left.Rows - row);
            TilePacking.Rows(left.Values + row * left.Stride + block.Begin, left.Stride, count, block.Length, left.Factor, packed + row * block.Length);
        }
    });

    private static void Multiply(float* packed, float* room, int threads, TileOperand weight, long rows, Block block, float* c, long stride)
    {
        // Four chunks a thread even the load out.
        var chunk = Math.Clamp(Tiles(weight.Columns, 4L * threads * TileOperand.Unit) * TileOperand.Unit, TileOperand.Unit, MostColumns);
        var chunks = Tiles(weight.Columns, chunk);
        var part = Tiles(rows, TileProduct.Rows * RowParts(chunks, rows, threads)) * TileProduct.Rows;
        var parts = Tiles(rows, part);
        long next = 0;
        TorchThreads.For(0, threads, 1, (slot, _, _) =>
        {
            var scratch = room + slot * ScratchFloats;
            var edge = scratch + ChunkFloats + TileOperand.RoomFloats;
            long Take() => Math.Min(Interlocked.Increment(ref next) - 1, chunks * parts);
            long Column(long unit) => unit / parts * chunk;
            long Width(long column) => Math.Min(chunk, weight.Columns - column);
            for (long unit = Take(), following; unit < chunks * parts; unit = following)
            {
                following = Take();
                long column = Column(unit), begin = unit % parts * part, end = Math.Min(rows, begin + part);
                // The next chunk's codes are asked for late, so that this chunk's operands do not push them out of the cache again.
                var late = begin + (end - begin) / TileProduct.Rows * 3 / 4 * TileProduct.Rows;
                weight.Pack(column, Width(column), block.Begin, block.Length, scratch, scratch + ChunkFloats);
                Rows(packed, begin, late, Width(column), block, scratch, c + column, stride, edge);
                if (following < chunks * parts) weight.Prefetch(Column(following), Width(Column(following)), block.Begin, block.Length);
                Rows(packed, late, end, Width(column), block, scratch, c + column, stride, edge);
            }
        });
    }

    /// <summary>Into how many parts rows are cut so that every thread has work: one where the chunks of columns are enough.</summary>
    internal static long RowParts(long chunks, long rows, int threads)
        => Math.Clamp(Tiles(threads, chunks), 1, Math.Max(1, Tiles(rows, TileProduct.Rows * LeastRowTiles)));

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
}
