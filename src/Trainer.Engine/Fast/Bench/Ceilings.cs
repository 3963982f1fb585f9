using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Numerics.Products;

namespace Trainer.Engine.Fast.Bench;

/// <summary>What the machine can do at a model's shapes: the bar that a step is measured against.</summary>
public static unsafe class Ceilings
{
    private const long SliceFloats = 48 << 20;

    /// <summary>Bytes copied a second with all threads, 64 MiB at a time, in 10^9.</summary>
    public static double Copy()
    {
        const long bytes = 64 << 20;
        using var arena = new Arena(2 * bytes + 256);
        byte* from = (byte*)arena.Floats(bytes / 4), to = (byte*)arena.Floats(bytes / 4);
        NativeMemory.Fill(from, (nuint)bytes, 1);
        var best = double.MaxValue;
        for (var i = 0; i < 8; i++)
        {
            var watch = BenchClock.Now;
            ComputeThreads.For(0, bytes, 1 << 20, (begin, end) => NativeMemory.Copy(from + begin, to + begin, (nuint)(end - begin)));
            best = Math.Min(best, BenchClock.Since(watch));
        }
        return bytes / best / 1e9;
    }

    /// <summary>Multiplications and additions a second from operands that lie in the first-level cache, all threads, in 10^9: what the processor can do at all;
    /// 0 without fused multiply-add.</summary>
    public static double Peak()
    {
        const int depth = 128, rounds = 4000;
        if (!TileProduct.IsFast) return 0;
        var threads = ComputeThreads.Count;
        using var arena = new Arena(threads * (1L << 16));
        var operands = arena.Floats(threads * (1L << 14));
        NativeMemory.Clear(operands, (nuint)threads << 16);
        var best = double.MaxValue;
        for (var i = 0; i < 8; i++)
        {
            var start = BenchClock.Now;
            ComputeThreads.For(0, threads, 1, (begin, end) =>
            {
                for (var thread = begin; thread < end; thread++)
                {
                    float* a = operands + (thread << 14), b = a + TileProduct.Rows * depth, c = b + TileProduct.Columns * depth;
                    for (var round = 0; round < rounds; round++) TileProduct.Run(a, b, depth, c, TileProduct.Columns, false);
                }
            });
            best = Math.Min(best, BenchClock.Since(start));
        }
        return 2.0 * threads * rounds * depth * TileProduct.Rows * TileProduct.Columns / best / 1e9;
    }

    /// <summary>Operations a second of the BLAS (of libtorch's operators in narrow types) over a step's forward and backward products, whole matrices that lie
    /// in the compute type already, in 10^9.</summary>
    /// <param name="shapes">Rows, columns and how many of each matrix.</param>
    /// <param name="tokens">Rows of the activations.</param>
    /// <param name="kind">Type of both operands.</param>
    public static double Products(IEnumerable<(long Rows, long Columns, long Count)> shapes, long tokens, ComputeKind kind)
    {
        double seconds = 0, operations = 0;
        foreach (var (allRows, columns, count) in shapes)
        {
            // A slice of the largest matrices has their rate, and keeps the measurement out of the run's peak memory.
            var rows = Math.Min(allRows, SliceFloats / columns);
            var whole = (double)allRows / rows;
            var room = NarrowGemm.PaddedRows(tokens);
            using var arena = new Arena((rows * columns + room * (rows + columns)) * sizeof(float) + 256);
            float* weight = arena.Floats(rows * columns), x = arena.Floats(room * columns), y = arena.Floats(room * rows);
            Fill(weight, rows * columns);
            Fill(x, room * columns);
            Fill(y, room * rows);
            var forward = Best(() => Product(kind, tokens, rows, columns, x, weight, y));
            var backward = Best(() => Gradient(kind, tokens, rows, columns, y, weight, x));
            seconds += count * whole * (forward + backward);
            operations += count * 4.0 * tokens * allRows * columns;
        }
        return operations / seconds / 1e9;
    }

    // The narrow types read the same room as other numbers, which cost the same.
    private static void Product(ComputeKind kind, long tokens, long rows, long columns, float* x, float* weight, float* y)
    {
        if (kind == ComputeKind.BFloat16) NarrowGemm.TimesTransposed(tokens, rows, columns, (ushort*)x, (ushort*)weight, (ushort*)y);
        else if (kind == ComputeKind.Int8) NarrowGemm.TimesTransposed(tokens, rows, columns, (sbyte*)x, (sbyte*)weight, (int*)y);
        else Gemm.TimesTransposed(tokens, rows, columns, 1f, x, columns, weight, columns, 0f, y, rows);
    }

    private static void Gradient(ComputeKind kind, long tokens, long rows, long columns, float* y, float* weight, float* x)
    {
        if (kind == ComputeKind.BFloat16) NarrowGemm.Times(tokens, columns, rows, (ushort*)y, (ushort*)weight, (ushort*)x);
        else if (kind == ComputeKind.Int8) NarrowGemm.Times(tokens, columns, rows, (sbyte*)y, (sbyte*)weight, (int*)x);
        else Gemm.Times(tokens, columns, rows, 1f, y, rows, weight, columns, 0f, x, columns);
    }

    private static double Best(Action product)
    {
        var (best, spent) = (double.MaxValue, 0.0);
        // The first call warms up; large products are not repeated for longer than needed.
        for (var i = 0; i < 6 && (i < 3 || spent < 2); i++)
        {
            var start = BenchClock.Now;
            product();
            var seconds = BenchClock.Since(start);
            spent += seconds;
            if (i > 0) best = Math.Min(best, seconds);
        }
        return best;
    }

    private static void Fill(float* values, long count) => ComputeThreads.For(0, count, 1 << 16, (begin, end) =>
    {
        for (var i = begin; i < end; i++) values[i] = i % 17 * 0.01f - 0.08f;
    });
}
