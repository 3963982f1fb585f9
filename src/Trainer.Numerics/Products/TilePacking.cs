using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Products;

/// <summary>Lays operands of <see cref="TileProduct"/> out: all rows (or columns) of a tile for one index of the sum, then those for the next.</summary>
public static unsafe class TilePacking
{
    /// <summary>packed[p, i] = factor * rows[i, p] for eight rows; missing ones are zeros.</summary>
    /// <param name="rows">First element of the first row.</param>
    /// <param name="stride">Elements from one row to the next.</param>
    /// <param name="count">Rows there are, 1 to 8.</param>
    /// <param name="depth">Elements to take of each.</param>
    /// <param name="factor">What they are multiplied by.</param>
    /// <param name="packed">(depth, 8).</param>
    public static void Rows(float* rows, long stride, int count, long depth, float factor, float* packed)
    {
        Transpose(rows, stride, count, depth, packed, TileProduct.Rows);
        if (factor == 1f) return;
        for (long i = 0; i < depth * TileProduct.Rows; i++) packed[i] *= factor;
    }

    /// <summary>to[p * toStride + i] = rows[i, p] for eight rows; missing ones are zeros.</summary>
    /// <param name="rows">First element of the first row.</param>
    /// <param name="stride">Elements from one row to the next.</param>
    /// <param name="count">Rows there are, 0 to 8.</param>
    /// <param name="depth">Elements to take of each.</param>
    /// <param name="to">Where the first eight go.</param>
    /// <param name="toStride">Elements from one group of eight to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transpose(float* rows, long stride, int count, long depth, float* to, long toStride)
    {
        long p = 0;
        if (Avx.IsSupported && count == 8)
        {
            for (; p + 8 <= depth; p += 8) Block(rows + p, stride, to + p * toStride, toStride);
        }
        for (; p < depth; p++)
        {
            for (var i = 0; i < 8; i++) to[p * toStride + i] = i < count ? rows[i * stride + p] : 0f;
        }
    }

    /// <summary>packed[p, j] = rows[p, j] for 32 columns; missing ones are zeros.</summary>
    /// <param name="rows">First element of the first row.</param>
    /// <param name="stride">Elements from one row to the next.</param>
    /// <param name="count">Columns there are, 1 to 32.</param>
    /// <param name="depth">Rows to take.</param>
    /// <param name="packed">Where the first row goes; the next one 32 elements on.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Columns(float* rows, long stride, int count, long depth, float* packed)
    {
        if (count == TileProduct.Columns)
        {
            for (long p = 0; p < depth; p++)
            {
                float* from = rows + p * stride, to = packed + p * TileProduct.Columns;
                // In pairs of 128 bits where there are no wider registers.
                Vector256.Load(from).Store(to);
                Vector256.Load(from + 8).Store(to + 8);
                Vector256.Load(from + 16).Store(to + 16);
                Vector256.Load(from + 24).Store(to + 24);
            }
            return;
        }
        for (long p = 0; p < depth; p++)
        {
            var target = packed + p * TileProduct.Columns;
            new ReadOnlySpan<float>(rows + p * stride, count).CopyTo(new Span<float>(target, count));
            new Span<float>(target + count, TileProduct.Columns - count).Clear();
        }
    }

    // Pairs, then fours, then halves change places: 24 shuffles turn an 8 x 8 block.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Block(float* from, long stride, float* to, long toStride)
    {
        Vector256<float> r0 = Vector256.Load(from), r1 = Vector256.Load(from + stride), r2 = Vector256.Load(from + 2 * stride),
            r3 = Vector256.Load(from + 3 * stride);
        Vector256<float> r4 = Vector256.Load(from + 4 * stride), r5 = Vector256.Load(from + 5 * stride), r6 = Vector256.Load(from + 6 * stride),
            r7 = Vector256.Load(from + 7 * stride);
        var (a0, a1) = (Avx.UnpackLow(r0, r1), Avx.UnpackHigh(r0, r1));
        var (a2, a3) = (Avx.UnpackLow(r2, r3), Avx.UnpackHigh(r2, r3));
        var (a4, a5) = (Avx.UnpackLow(r4, r5), Avx.UnpackHigh(r4, r5));
        var (a6, a7) = (Avx.UnpackLow(r6, r7), Avx.UnpackHigh(r6, r7));
        const byte Lower = 0x44, Upper = 0xEE;
        var (b0, b1) = (Avx.Shuffle(a0, a2, Lower), Avx.Shuffle(a0, a2, Upper));
        var (b2, b3) = (Avx.Shuffle(a1, a3, Lower), Avx.Shuffle(a1, a3, Upper));
        var (b4, b5) = (Avx.Shuffle(a4, a6, Lower), Avx.Shuffle(a4, a6, Upper));
        var (b6, b7) = (Avx.Shuffle(a5, a7, Lower), Avx.Shuffle(a5, a7, Upper));
        Avx.Permute2x128(b0, b4, 0x20).Store(to);
        Avx.Permute2x128(b1, b5, 0x20).Store(to + toStride);
        Avx.Permute2x128(b2, b6, 0x20).Store(to + 2 * toStride);
        Avx.Permute2x128(b3, b7, 0x20).Store(to + 3 * toStride);
        Avx.Permute2x128(b0, b4, 0x31).Store(to + 4 * toStride);
        Avx.Permute2x128(b1, b5, 0x31).Store(to + 5 * toStride);
        Avx.Permute2x128(b2, b6, 0x31).Store(to + 6 * toStride);
        Avx.Permute2x128(b3, b7, 0x31).Store(to + 7 * toStride);
    }
}
