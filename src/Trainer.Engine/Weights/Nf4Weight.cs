using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using Trainer.Checkpoints.Nf4;
using Trainer.Engine.Native;
using Trainer.Numerics.Nf4;

namespace Trainer.Engine.Weights;

/// <summary>A matrix in 4-bit NormalFloat, blocks of 64 over the flattened matrix, with plain or quantized absmax values.</summary>
internal sealed unsafe class Nf4Weight : IFrozenWeight, IStreamedWeight
{
    private readonly NativeBlock? _memory;
    private readonly Nf4Source _home;

    private Nf4Weight(long rows, long columns, Nf4Source source, NativeBlock? memory, long byteCount)
    {
        (Rows, Columns, Source, _home, _memory, ByteCount) = (rows, columns, source, source, memory, byteCount);
        if (memory is null)
            MappedParts = [((IntPtr)source.Packed, Nf4Codebook.PackedBytes(source.Count)),
                (Scales(source), Nf4Codebook.Blocks(source.Count) * (source.Absmax != null ? sizeof(float) : 1))];
    }

    public long Rows { get; }

    public long Columns { get; }

    public WeightForm Form => WeightForm.Nf4;

    public long ByteCount { get; }

    public torch.Tensor? Resident => null;

    /// <summary>Where codes and absmax values lie; valid until the weight is placed elsewhere, or while it lives.</summary>
    public Nf4Source Source { get; private set; }

    public IReadOnlyList<(IntPtr Start, long Length)> MappedParts { get; } = [];

    public void Place(ReadOnlySpan<IntPtr> parts) => Source = _home.At((byte*)parts[0], (byte*)parts[1]);

    public void PlaceHome() => Source = _home;

    /// <summary>A matrix over memory that outlives it (a mapped file).</summary>
    public static Nf4Weight Over(long rows, long columns, Nf4Source source, long byteCount, NativeBlock? memory = null)
        => new(rows, columns, source, memory, byteCount);

    /// <summary>Quantizes a matrix a few rows at a time, exactly as bitsandbytes does (double quantization by exact nearest).</summary>
    public static Nf4Weight Quantize(IFrozenWeight dense, bool doubleQuantize)
    {
        var count = dense.Rows * dense.Columns;
        long packedBytes = Round(Nf4Codebook.PackedBytes(count)), blocks = Nf4Codebook.Blocks(count);
        using var plain = doubleQuantize ? new NativeBlock(blocks * sizeof(float)) : null;
        long codeBytes = Round(blocks), nestedBytes = Round(Nf4Codebook.NestedBlocks(count) * sizeof(float)), mapBytes = 256 * sizeof(float);
        var memory = new NativeBlock(packedBytes + (doubleQuantize ? codeBytes + nestedBytes + mapBytes : Round(blocks * sizeof(float))));
        var packed = memory.Start;
        var absmax = (float*)(plain is null ? packed + packedBytes : plain.Start);
        Fill(dense, packed, absmax);
        if (plain is null) return new Nf4Weight(dense.Rows, dense.Columns, Nf4Source.Plain(packed, absmax, count), memory, memory.Length);
        var codes = packed + packedBytes;
        var nested = (float*)(codes + codeBytes);
        var map = (float*)((byte*)nested + nestedBytes);
        DynamicMap.Values.CopyTo(new Span<float>(map, 256));
        var offset = NestedAbsmax.Quantize(new ReadOnlySpan<float>(absmax, checked((int)blocks)), new Span<byte>(codes, (int)blocks),
            new Span<float>(nested, checked((int)Nf4Codebook.NestedBlocks(count))));
        return new Nf4Weight(dense.Rows, dense.Columns, Nf4Source.Nested(packed, codes, nested, map, offset, count), memory, memory.Length);
    }

    /// <summary>A copy of codes and scales, as a folder in bitsandbytes' layout has them.</summary>
    /// <param name="dtype">Type before quantization, as PyTorch calls it.</param>
    public Nf4Bytes ToBytes(string dtype)
    {
        static byte[] Copy(void* start, long bytes) => new ReadOnlySpan<byte>(start, checked((int)bytes)).ToArray();
        var (source, blocks, isNested) = (Source, Nf4Codebook.Blocks(Source.Count), Source.Absmax == null);
        var state = new Nf4QuantState(Nf4Codebook.BlockSize, dtype, [Rows, Columns], isNested ? Nf4Codebook.NestedBlockSize : null,
            isNested ? source.Offset : null);
        return new Nf4Bytes(state, Copy(source.Packed, Nf4Codebook.PackedBytes(source.Count)),
            isNested ? Copy(source.Codes, blocks) : Copy(source.Absmax, blocks * sizeof(float)), MemoryMarshal.AsBytes(Nf4Codebook.Values).ToArray(),
            isNested ? Copy(source.NestedAbsmax, Nf4Codebook.NestedBlocks(source.Count) * sizeof(float)) : default,
            isNested ? Copy(source.NestedMap, 256 * sizeof(float)) : default);
    }

    public void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        var begin = row * Columns + columnBegin;
        Write(begin, begin + columnCount, destination);
    }

    public void Prefetch(long row, long columnBegin, long columnCount)
    {
        if (!Sse.IsSupported) return;
        var begin = row * Columns + columnBegin;
        for (var at = Source.Packed + begin / 2; at < Source.Packed + (begin + columnCount) / 2; at += 64) Sse.Prefetch1(at);
        if (Source.Codes != null) Sse.Prefetch1(Source.Codes + begin / Nf4Codebook.BlockSize);
    }

    public void Materialize(long rowBegin, long rowCount, float* destination)
    {
        const int Block = Nf4Codebook.BlockSize;
        long begin = rowBegin * Columns, end = begin + rowCount * Columns;
        var first = Math.Min(end, (begin + Block - 1) / Block * Block);
        Write(begin, first, destination);
        ComputeThreads.ForUnits(first, end, Block, 1 << 16, (from, to) => Nf4Dequantizer.ToFloat(Source, destination + (from - begin), from, to));
        GC.KeepAlive(this);
    }

    public void MaterializeBFloat16(long rowBegin, long rowCount, ushort* destination)
    {
        const int Block = Nf4Codebook.BlockSize;
        long begin = rowBegin * Columns, end = begin + rowCount * Columns;
        var first = Math.Min(end, (begin + Block - 1) / Block * Block);
        if (begin < first)
        {
            var block = stackalloc ushort[Block];
            var blockBegin = begin / Block * Block;
            Nf4Dequantizer.ToBFloat16(Source, block, blockBegin, first);
            new ReadOnlySpan<ushort>(block + (begin - blockBegin), (int)(first - begin)).CopyTo(new Span<ushort>(destination, (int)(first - begin)));
        }
        var source = Source;
        ComputeThreads.ForUnits(first, end, Block, 1 << 16, (from, to) => Nf4Dequantizer.ToBFloat16(source, destination + (from - begin), from, to));
        GC.KeepAlive(this);
    }

    public void Dispose() => _memory?.Dispose();

    // A range may start inside a block: that block is decoded aside.
    private void Write(long begin, long end, float* destination)
    {
        const int Block = Nf4Codebook.BlockSize;
        if (begin % Block != 0)
        {
            var block = stackalloc float[Block];
            var blockBegin = begin / Block * Block;
            var first = Math.Min(end, blockBegin + Block);
            Nf4Dequantizer.ToFloat(Source, block, blockBegin, first);
            new ReadOnlySpan<float>(block + (begin - blockBegin), (int)(first - begin)).CopyTo(new Span<float>(destination, (int)(first - begin)));
            destination += first - begin;
            begin = first;
        }
        if (begin < end) Nf4Dequantizer.ToFloat(Source, destination, begin, end);
    }

    private static void Fill(IFrozenWeight dense, byte* packed, float* absmax)
    {
        const int Block = Nf4Codebook.BlockSize;
        // As many rows at a time as make whole blocks.
        var unit = Block / (long)System.Numerics.BigInteger.GreatestCommonDivisor(dense.Columns, Block);
        var rows = Math.Max(1, (4 << 20) / dense.Columns / unit) * unit;
        using var scratch = new NativeBlock(Math.Min(rows, dense.Rows) * dense.Columns * sizeof(float));
        var values = (float*)scratch.Start;
        for (long row = 0; row < dense.Rows; row += rows)
        {
            var count = Math.Min(rows, dense.Rows - row);
            dense.Materialize(row, count, values);
            long begin = row * dense.Columns, end = begin + count * dense.Columns;
            ComputeThreads.ForUnits(begin, end, Block, 1 << 15, (from, to) => Nf4Quantizer.Quantize(values + (from - begin), packed, absmax, from, to));
        }
    }

    private static IntPtr Scales(Nf4Source source) => (IntPtr)(source.Absmax != null ? (byte*)source.Absmax : source.Codes);

    private static long Round(long bytes) => (bytes + 63) / 64 * 64;
}
