using Trainer.Engine.Native;
using Trainer.Numerics.Products;

namespace Trainer.Engine.Fast;

/// <summary>Frozen products in float32 by register tiles of our own: weights go from their stored form straight into the packed form that the tiles read.</summary>
/// <remarks>
/// A block of the depth (the index of the sums) at a time: the activations are packed once and shared; then threads take chunks of columns, write that part of W
/// out and pack it into a scratch that stays in the second-level cache, and run all rows over it. No matrix in float32 exists at any time.
/// Every element is a chain of sums for each block of the depth, whoever computes it: results do not depend on the number of threads or of rows.
/// </remarks>
internal sealed unsafe class TiledProduct(PanelPlan panels) : IFrozenProduct
{
    // A packed chunk is 256 KiB (part of a second-level cache), a row tile of activations 16 KiB (half a first-level one).
    private const long BlockDepth = 512;
    private const long MostColumns = 128;
    // Rows of W that are gone through at a time: results of these stay in the third-level cache between blocks of the depth, and a streamed head is resident in parts.
    private const long WindowRows = 2048;
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
        // The next chunk's codes are asked for late, so that this chunk's operands do not push them out of the cache again.
        var late = rows / TileProduct.Rows * 3 / 4 * TileProduct.Rows;
        long next = 0;
        TorchThreads.For(0, threads, 1, (slot, _, _) =>
        {
            var scratch = room + slot * ScratchFloats;
            var edge = scratch + ChunkFloats + TileOperand.RoomFloats;
            long Take() => Math.Min(Interlocked.Increment(ref next) - 1, chunks) * chunk;
            long Width(long column) => Math.Min(chunk, weight.Columns - column);
            for (long column = Take(), following; column < weight.Columns; column = following)
            {
                following = Take();
                weight.Pack(column, Width(column), block.Begin, block.Length, scratch, scratch + ChunkFloats);
                Rows(packed, 0, late, Width(column), block, scratch, c + column, stride, edge);
                if (following < weight.Columns) weight.Prefetch(following, Width(following), block.Begin, block.Length);
                Rows(packed, late, rows, Width(column), block, scratch, c + column, stride, edge);
            }
        });
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
}
