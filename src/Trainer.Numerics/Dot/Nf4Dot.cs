using System.Runtime.CompilerServices;
using Trainer.Numerics.Nf4;
using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Dot;

/// <summary>y = x W^T for a few rows of x, W's 4-bit codes looked up in registers: W is read once, at half a byte a value, and never written out.</summary>
/// <remarks>
/// <code>
/// lane(i) = (i / 2) mod 16;  s[lane] = sum over a block's 64 values, in order, of codebook[code] x;  total[lane] += s[lane] absmax
/// </code>
/// all fused; y is the sum of the sixteen totals. Two neighbours share a byte and so a lane: x is arranged once, the even columns of each 32 before the odd
/// ones,
/// and every register of codes meets its x by a plain load. Rows must be whole blocks (columns a multiple of 64).
/// </remarks>
public static unsafe class Nf4Dot
{
    private const int Block = Nf4Codebook.BlockSize;

    // Rows of x that share what is looked up; with two rows of W all sums stay in the 32 registers of the widest path.
    private const int Group = 4;

    /// <summary>Whether rows of this length are whole blocks.</summary>
    /// <param name="columns">Length of a row.</param>
    public static bool Takes(long columns) => columns % Block == 0;

    /// <summary>Rows of x in the order <see cref="Run(in Nf4Source, long, float*, int, float*, long, long, long)"/> takes them.</summary>
    /// <param name="x">Values, their number a multiple of 64.</param>
    /// <param name="arranged">As many values; 64-byte alignment is quicker.</param>
    /// <param name="length">How many.</param>
    public static void Arrange(float* x, float* arranged, long length)
    {
        for (long at = 0; at < length; at += 32)
            for (var i = 0; i < 16; i++) (arranged[at + i], arranged[at + 16 + i]) = (x[at + 2 * i], x[at + 2 * i + 1]);
    }

    /// <summary>Rows [begin, end) of W.</summary>
    /// <param name="weight">(rows of W, columns), with plain or double-quantized absmax.</param>
    /// <param name="columns">Length of a row, a multiple of 64.</param>
    /// <param name="arranged">(count, columns) as <see cref="Arrange"/> gives them.</param>
    /// <param name="count">Rows of x.</param>
    /// <param name="y">(count, rows of W) in rows of <paramref name="stride"/> values; columns [begin, end) are written.</param>
    /// <param name="stride">Values from one row of y to the next.</param>
    /// <param name="begin">First row of W.</param>
    /// <param name="end">One past the last.</param>
    public static void Run(in Nf4Source weight, long columns, float* arranged, int count, float* y, long stride, long begin, long end)
        => Run(Kernels.Width, weight, columns, arranged, count, y, stride, begin, end);

    internal static void Run(KernelWidth width, in Nf4Source weight, long columns, float* arranged, int count, float* y, long stride, long begin, long end)
    {
        if (!Takes(columns)) throw new ArgumentException("rows of NF4 codes must be whole blocks of 64", nameof(columns));
        var blocks = columns / Block;
        var scratch = stackalloc float[weight.Absmax == null ? checked((int)(2 * blocks)) : 0];
        for (var row = begin; row < end;)
        {
            var packed = weight.Packed + row * columns / 2;
            var absmax = Factors(weight, row * blocks, blocks, scratch);
            if (width == KernelWidth.Vector512 && count >= Group && row + 1 < end)
            {
                var next = Factors(weight, (row + 1) * blocks, blocks, scratch + blocks);
                // What a last group lacks it takes from the one before: the same sums once more.
                for (var t = 0; t < count; t += Group)
                {
                    var first = Math.Min(t, count - Group);
                    TwoRows<Lanes512>(packed, packed + columns / 2, absmax, next, blocks, arranged + first * columns, columns, y + first * stride + row,
                        stride);
                }
                row += 2;
                continue;
            }
            for (var t = 0; t < count; t++)
            {
                var x = arranged + t * columns;
                y[t * stride + row] = width switch
                {
                    KernelWidth.Vector512 => Row<Lanes512>(packed, absmax, blocks, x),
                    KernelWidth.Vector256 => Row<Lanes256>(packed, absmax, blocks, x),
                    KernelWidth.Vector128 => Row<Lanes128>(packed, absmax, blocks, x),
                    _ => Scalar(packed, absmax, blocks, x),
                };
            }
            row++;
        }
    }

    // The absmax of a row's blocks: where they lie, or decoded into scratch, in runs that share a nested absmax.
    private static float* Factors(in Nf4Source weight, long first, long blocks, float* scratch)
    {
        if (weight.Absmax != null) return weight.Absmax + first;
        var (map, codes, offset) = ((nint)weight.NestedMap, (nint)weight.Codes, weight.Offset);
        for (var begin = first; begin < first + blocks;)
        {
            var nested = weight.NestedAbsmax[begin / Nf4Codebook.NestedBlockSize];
            var end = Math.Min(first + blocks, (begin / Nf4Codebook.NestedBlockSize + 1) * Nf4Codebook.NestedBlockSize);
            for (; begin < end; begin++)
            {
                // Two roundings, as Nf4Source.BlockAbsmax does.
                var product = ((float*)map)[((byte*)codes)[begin]] * nested;
                scratch[begin - first] = product + offset;
            }
        }
        return scratch;
    }

    /// <summary>The specification: one row of W times one row of x.</summary>
    private static float Scalar(byte* packed, float* absmax, long blocks, float* x)
    {
        float* total = stackalloc float[16], sum = stackalloc float[16];
        new Span<float>(total, 16).Clear();
        for (long block = 0; block < blocks; block++)
        {
            new Span<float>(sum, 16).Clear();
            for (var i = 0; i < Block; i++)
            {
                var pair = packed[block * (Block / 2) + i / 2];
                var lane = i / 2 % 16;
                var code = i % 2 == 0 ? pair >> 4 : pair & 15;
                sum[lane] = MathF.FusedMultiplyAdd(Nf4Codebook.ValueTable[code], x[block * Block + i / 32 * 32 + i % 2 * 16 + lane], sum[lane]);
            }
            for (var lane = 0; lane < 16; lane++) total[lane] = MathF.FusedMultiplyAdd(sum[lane], absmax[block], total[lane]);
        }
        return LaneSum.Of(total);
    }

    private static float Row<T>(byte* packed, float* absmax, long blocks, float* x) where T : struct, ILanes<T>
    {
        T total = T.Create(0f), zero = total;
        for (var last = absmax + blocks; absmax < last; absmax++, packed += Block / 2, x += Block)
        {
            var sum = T.Fused(T.LoadNf4(packed, out var odd), T.Load(x), zero);
            sum = T.Fused(odd, T.Load(x + 16), sum);
            sum = T.Fused(T.LoadNf4(packed + 16, out odd), T.Load(x + 32), sum);
            sum = T.Fused(odd, T.Load(x + 48), sum);
            total = T.Fused(sum, T.Create(*absmax), total);
        }
        return total.Sum();
    }

    // Two rows of W times four of x: codes are looked up once for four sums and x is loaded once for two, each sum in the order of Row.
    private static void TwoRows<T>(byte* packed, byte* nextPacked, float* absmax, float* nextAbsmax, long blocks, float* x, long columns, float* y, long stride)
        where T : struct, ILanes<T>
    {
        var zero = T.Create(0f);
        T a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
        for (long block = 0; block < blocks; block++, packed += Block / 2, nextPacked += Block / 2, x += Block)
        {
            T c0 = T.LoadNf4(packed, out var c1), c2 = T.LoadNf4(packed + 16, out var c3);
            T d0 = T.LoadNf4(nextPacked, out var d1), d2 = T.LoadNf4(nextPacked + 16, out var d3);
            T c = T.Create(absmax[block]), d = T.Create(nextAbsmax[block]);
            T x0 = T.Load(x), x1 = T.Load(x + 16), x2 = T.Load(x + 32), x3 = T.Load(x + 48);
            a0 = T.Fused(Dot(c0, c1, c2, c3, x0, x1, x2, x3, zero), c, a0);
            b0 = T.Fused(Dot(d0, d1, d2, d3, x0, x1, x2, x3, zero), d, b0);
            var other = x + columns;
            (x0, x1, x2, x3) = (T.Load(other), T.Load(other + 16), T.Load(other + 32), T.Load(other + 48));
            a1 = T.Fused(Dot(c0, c1, c2, c3, x0, x1, x2, x3, zero), c, a1);
            b1 = T.Fused(Dot(d0, d1, d2, d3, x0, x1, x2, x3, zero), d, b1);
            other += columns;
            (x0, x1, x2, x3) = (T.Load(other), T.Load(other + 16), T.Load(other + 32), T.Load(other + 48));
            a2 = T.Fused(Dot(c0, c1, c2, c3, x0, x1, x2, x3, zero), c, a2);
            b2 = T.Fused(Dot(d0, d1, d2, d3, x0, x1, x2, x3, zero), d, b2);
            other += columns;
            (x0, x1, x2, x3) = (T.Load(other), T.Load(other + 16), T.Load(other + 32), T.Load(other + 48));
            a3 = T.Fused(Dot(c0, c1, c2, c3, x0, x1, x2, x3, zero), c, a3);
            b3 = T.Fused(Dot(d0, d1, d2, d3, x0, x1, x2, x3, zero), d, b3);
        }
        (y[0], y[1]) = (a0.Sum(), b0.Sum());
        (y[stride], y[stride + 1]) = (a1.Sum(), b1.Sum());
        (y[2 * stride], y[2 * stride + 1]) = (a2.Sum(), b2.Sum());
        (y[3 * stride], y[3 * stride + 1]) = (a3.Sum(), b3.Sum());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Dot<T>(T c0, T c1, T c2, T c3, T x0, T x1, T x2, T x3, T zero)
        where T : struct, ILanes<T> => T.Fused(c3, x3, T.Fused(c2, x2, T.Fused(c1, x1, T.Fused(c0, x0, zero))));
}
