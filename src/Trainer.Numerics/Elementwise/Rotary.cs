using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

/// <summary>Rotary position embedding (arXiv 2104.09864), in place, and its inverse for the backward pass.</summary>
/// <remarks>
/// Of each head's d values the first 2h are turned (h = rotary dimensions / 2): a' = a c - b s, b' = b c + a s. Pairs (a, b) are (i, i + h), Hugging Face's
/// "rotate half", or neighbours (2i, 2i + 1).
/// cos and sin come from tables (positions, h) that may carry an attention factor; the backward pass is the transpose, sin negated.
/// </remarks>
public static unsafe class Rotary
{
    /// <summary>Turns tokens [begin, end).</summary>
    /// <param name="x">(tokens, heads, d), with <paramref name="stride"/> values from token to token.</param>
    /// <param name="cos">(positions, h).</param>
    /// <param name="sin">(positions, h).</param>
    /// <param name="positions">(tokens): the table row of each token.</param>
    /// <param name="stride">Values from one token to the next.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="d">Head size.</param>
    /// <param name="h">Half of the turned dimensions.</param>
    /// <param name="pairs">Neighbours turn together.</param>
    /// <param name="inverse">Turn back: the gradient's way.</param>
    /// <param name="begin">First token.</param>
    /// <param name="end">One past the last token.</param>
    public static void Turn(float* x, float* cos, float* sin, int* positions, long stride, int heads, int d, int h, bool pairs, bool inverse,
        long begin, long end)
        => Turn(Kernels.Width, x, cos, sin, positions, stride, heads, d, h, pairs, inverse, begin, end);

    internal static void Turn(
        KernelWidth width, float* x, float* cos, float* sin, int* positions, long stride, int heads, int d, int h, bool pairs, bool inverse, long begin,
        long end)
    {
        for (var t = begin; t < end; t++)
        {
            var c = cos + (long)positions[t] * h;
            var s = sin + (long)positions[t] * h;
            for (var head = 0; head < heads; head++)
            {
                var a = x + t * stride + (long)head * d;
                if (pairs)
                {
                    Neighbours(a, c, s, h, inverse);
                    continue;
                }
                switch (width)
                {
                    case KernelWidth.Vector512: Pairs<Lanes512>(a, c, s, h, inverse); break;
                    case KernelWidth.Vector256: Pairs<Lanes256>(a, c, s, h, inverse); break;
                    case KernelWidth.Vector128: Pairs<Lanes128>(a, c, s, h, inverse); break;
                    default: Pairs(a, c, s, h, inverse, 0); break;
                }
            }
        }
    }

    private static void Neighbours(float* a, float* cos, float* sin, int h, bool inverse)
    {
        for (var i = 0; i < h; i++)
        {
            var s = inverse ? -sin[i] : sin[i];
            var (x, y) = (a[2 * i], a[2 * i + 1]);
            a[2 * i] = x * cos[i] - y * s;
            a[2 * i + 1] = y * cos[i] + x * s;
        }
    }

    /// <summary>The specification, for pairs from <paramref name="i"/> on.</summary>
    private static void Pairs(float* a, float* cos, float* sin, int h, bool inverse, int i)
    {
        var b = a + h;
        for (; i < h; i++)
        {
            var s = inverse ? -sin[i] : sin[i];
            var (x, y) = (a[i], b[i]);
            a[i] = x * cos[i] - y * s;
            b[i] = y * cos[i] + x * s;
        }
    }

    private static void Pairs<T>(float* a, float* cos, float* sin, int h, bool inverse) where T : struct, ILanes<T>
    {
        var b = a + h;
        var sign = T.Create(inverse ? -1f : 1f);
        var i = 0;
        for (; i + 16 <= h; i += 16)
        {
            T x = T.Load(a + i), y = T.Load(b + i), c = T.Load(cos + i), s = T.Load(sin + i) * sign;
            (x * c - y * s).Store(a + i);
            (y * c + x * s).Store(b + i);
        }
        Pairs(a, cos, sin, h, inverse, i);
    }
}
