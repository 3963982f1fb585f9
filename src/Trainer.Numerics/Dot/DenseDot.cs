using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Dot;

/// <summary>y = x W^T for a few rows of x, straight from W's stored values: what decoding one token does, at the speed memory gives W.</summary>
/// <remarks>
/// Each value of y is one sum in sixteen lanes, lane = column mod 16, fused, so its bits depend neither on the width nor on how rows are split or grouped.
/// Four rows of W go together: one chain of fused additions would wait for itself.
/// </remarks>
public static unsafe class DenseDot
{
    private const int Group = 4;

    /// <summary>Rows [begin, end) of W in fp32.</summary>
    /// <param name="weight">(rows of W, columns).</param>
    /// <param name="columns">Length of a row.</param>
    /// <param name="pitch">Values from one row of W to the next: a head's keys lie among those of other heads.</param>
    /// <param name="x">(count, columns).</param>
    /// <param name="count">Rows of x.</param>
    /// <param name="y">(count, rows of W) in rows of <paramref name="stride"/> values; columns [begin, end) are written.</param>
    /// <param name="stride">Values from one row of y to the next.</param>
    /// <param name="begin">First row of W.</param>
    /// <param name="end">One past the last.</param>
    public static void Float(float* weight, long columns, long pitch, float* x, int count, float* y, long stride, long begin, long end)
        => Run<FloatElements>(Kernels.Width, (byte*)weight, null, columns, pitch, x, count, y, stride, begin, end);

    /// <summary>Rows [begin, end) of W in bfloat16.</summary>
    /// <param name="weight">(rows of W, columns).</param>
    /// <param name="columns">Length of a row.</param>
    /// <param name="x">(count, columns).</param>
    /// <param name="count">Rows of x.</param>
    /// <param name="y">(count, rows of W) in rows of <paramref name="stride"/> values; columns [begin, end) are written.</param>
    /// <param name="stride">Values from one row of y to the next.</param>
    /// <param name="begin">First row of W.</param>
    /// <param name="end">One past the last.</param>
    public static void BFloat16(ushort* weight, long columns, float* x, int count, float* y, long stride, long begin, long end)
        => Run<BFloat16Elements>(Kernels.Width, (byte*)weight, null, columns, columns, x, count, y, stride, begin, end);

    /// <summary>Rows [begin, end) of W in 8 bits; the row's scale multiplies the sum.</summary>
    /// <param name="codes">(rows of W, columns).</param>
    /// <param name="scales">(rows of W).</param>
    /// <param name="columns">Length of a row.</param>
    /// <param name="x">(count, columns).</param>
    /// <param name="count">Rows of x.</param>
    /// <param name="y">(count, rows of W) in rows of <paramref name="stride"/> values; columns [begin, end) are written.</param>
    /// <param name="stride">Values from one row of y to the next.</param>
    /// <param name="begin">First row of W.</param>
    /// <param name="end">One past the last.</param>
    public static void Int8(sbyte* codes, float* scales, long columns, float* x, int count, float* y, long stride, long begin, long end)
        => Run<Int8Elements>(Kernels.Width, (byte*)codes, scales, columns, columns, x, count, y, stride, begin, end);

    internal static void Run<TElements>(KernelWidth width, byte* weight, float* scales, long columns, long pitch, float* x, int count, float* y, long stride,
        long begin, long end)
        where TElements : struct, IElements
    {
        switch (width)
        {
            case KernelWidth.Vector512: Lanes<TElements, Lanes512>(weight, scales, columns, pitch, x, count, y, stride, begin, end); break;
            case KernelWidth.Vector256: Lanes<TElements, Lanes256>(weight, scales, columns, pitch, x, count, y, stride, begin, end); break;
            case KernelWidth.Vector128: Lanes<TElements, Lanes128>(weight, scales, columns, pitch, x, count, y, stride, begin, end); break;
            default: Scalar<TElements>(weight, scales, columns, pitch, x, count, y, stride, begin, end); break;
        }
    }

    /// <summary>The specification.</summary>
    private static void Scalar<TElements>(byte* weight, float* scales, long columns, long pitch, float* x, int count, float* y, long stride, long begin,
        long end)
        where TElements : struct, IElements
    {
        var lanes = stackalloc float[16];
        for (var row = begin; row < end; row++)
        {
            var values = weight + row * pitch * TElements.Bytes;
            for (var t = 0; t < count; t++)
            {
                new Span<float>(lanes, 16).Clear();
                y[t * stride + row] = Finish<TElements>(lanes, values, x + t * columns, 0, columns, scales == null ? 1f : scales[row]);
            }
        }
    }

    private static void Lanes<TElements, T>(byte* weight, float* scales, long columns, long pitch, float* x, int count, float* y, long stride, long begin,
        long end)
        where TElements : struct, IElements
        where T : struct, ILanes<T>
    {
        var lanes = stackalloc float[Group * 16];
        var whole = columns / 16 * 16;
        pitch *= TElements.Bytes;
        for (var row = begin; row < end; row += Group)
        {
            // The last group takes its last row several times.
            var rows = Math.Min(Group, end - row);
            byte* a = weight + row * pitch, b = a + Math.Min(1, rows - 1) * pitch, c = a + Math.Min(2, rows - 1) * pitch, d = a + (rows - 1) * pitch;
            if (typeof(T) == typeof(Lanes512) && whole == columns && rows == Group && count >= Group)
            {
                // What a last group lacks it takes from the one before: the same sums once more.
                for (var t = 0; t < count; t += Group)
                {
                    var from = Math.Min(t, count - Group);
                    Square<TElements, T>(a, pitch, columns, x + from * columns, y + from * stride + row, stride, scales == null ? null : scales + row);
                }
                continue;
            }
            for (var t = 0; t < count; t++)
            {
                var input = x + t * columns;
                T first = T.Create(0f), second = first, third = first, fourth = first;
                for (long i = 0; i < whole; i += 16)
                {
                    var value = T.Load(input + i);
                    var at = i * TElements.Bytes;
                    first = T.Fused(TElements.Load<T>(a + at), value, first);
                    second = T.Fused(TElements.Load<T>(b + at), value, second);
                    third = T.Fused(TElements.Load<T>(c + at), value, third);
                    fourth = T.Fused(TElements.Load<T>(d + at), value, fourth);
                }
                if (whole == columns && rows == Group)
                {
                    var target = y + t * stride + row;
                    (target[0], target[1], target[2], target[3]) = (first.Sum(), second.Sum(), third.Sum(), fourth.Sum());
                    for (var r = 0; r < Group && scales != null; r++) target[r] *= scales[row + r];
                    continue;
                }
                first.Store(lanes);
                second.Store(lanes + 16);
                third.Store(lanes + 32);
                fourth.Store(lanes + 48);
                for (var r = 0; r < rows; r++)
                    y[t * stride + row + r] = Finish<TElements>(lanes + 16 * r, a + r * pitch, input, whole, columns, scales == null ? 1f : scales[row + r]);
            }
        }
    }

    // Four rows of W times four of x: what is loaded serves four sums, all of which stay in the 32 registers of the widest path.
    private static void Square<TElements, T>(byte* weight, long pitch, long columns, float* x, float* y, long stride, float* scales)
        where TElements : struct, IElements
        where T : struct, ILanes<T>
    {
        byte* a = weight, b = a + pitch, c = b + pitch, d = c + pitch;
        float* x0 = x, x1 = x0 + columns, x2 = x1 + columns, x3 = x2 + columns;
        var zero = T.Create(0f);
        T a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
        T c0 = zero, c1 = zero, c2 = zero, c3 = zero, d0 = zero, d1 = zero, d2 = zero, d3 = zero;
        for (long i = 0; i < columns; i += 16)
        {
            var at = i * TElements.Bytes;
            T wa = TElements.Load<T>(a + at), wb = TElements.Load<T>(b + at), wc = TElements.Load<T>(c + at), wd = TElements.Load<T>(d + at);
            var value = T.Load(x0 + i);
            (a0, b0, c0, d0) = (T.Fused(wa, value, a0), T.Fused(wb, value, b0), T.Fused(wc, value, c0), T.Fused(wd, value, d0));
            value = T.Load(x1 + i);
            (a1, b1, c1, d1) = (T.Fused(wa, value, a1), T.Fused(wb, value, b1), T.Fused(wc, value, c1), T.Fused(wd, value, d1));
            value = T.Load(x2 + i);
            (a2, b2, c2, d2) = (T.Fused(wa, value, a2), T.Fused(wb, value, b2), T.Fused(wc, value, c2), T.Fused(wd, value, d2));
            value = T.Load(x3 + i);
            (a3, b3, c3, d3) = (T.Fused(wa, value, a3), T.Fused(wb, value, b3), T.Fused(wc, value, c3), T.Fused(wd, value, d3));
        }
        Put(y, scales, a0.Sum(), b0.Sum(), c0.Sum(), d0.Sum());
        Put(y + stride, scales, a1.Sum(), b1.Sum(), c1.Sum(), d1.Sum());
        Put(y + 2 * stride, scales, a2.Sum(), b2.Sum(), c2.Sum(), d2.Sum());
        Put(y + 3 * stride, scales, a3.Sum(), b3.Sum(), c3.Sum(), d3.Sum());
    }

    private static void Put(float* target, float* scales, float first, float second, float third, float fourth)
    {
        (target[0], target[1], target[2], target[3]) = (first, second, third, fourth);
        for (var r = 0; r < Group && scales != null; r++) target[r] *= scales[r];
    }

    // The columns from `begin` on, and the lanes' sum times the row's scale; times 1 changes no bit.
    private static float Finish<TElements>(float* lanes, byte* values, float* x, long begin, long columns, float scale)
        where TElements : struct, IElements
    {
        for (var i = begin; i < columns; i++) lanes[i % 16] = MathF.FusedMultiplyAdd(TElements.One(values + i * TElements.Bytes), x[i], lanes[i % 16]);
        return LaneSum.Of(lanes) * scale;
    }
}
