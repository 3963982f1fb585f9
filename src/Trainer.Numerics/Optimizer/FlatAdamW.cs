using System.Runtime.Intrinsics;

namespace Trainer.Numerics.Optimizer;

/// <summary>AdamW over flat fp32 buffers in one pass: 16 bytes read and 12 written a parameter.</summary>
/// <remarks>
/// <code>
/// g' = g * scale;  p = p * (1 - lr * wd)
/// m = m + (1 - b1) * (g' - m);  v = b2 * v + (1 - b2) * g' * g'
/// p = p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
/// </code>
/// Constants are computed in double and rounded once; every operation is elementwise and unfused, so all widths give the same bits,
/// and ranges can be split anywhere. LoRA+ and decay-free parameters are ranges with a step of their own.
/// </remarks>
public static unsafe class FlatAdamW
{
    /// <summary>Elements whose squares are summed as one unit, so that a norm does not depend on how the caller splits the work.</summary>
    public const int NormChunk = 1 << 14;

    /// <summary>Steps elements [begin, end).</summary>
    /// <param name="parameters">Start of the parameters.</param>
    /// <param name="gradients">Start of the gradients; left as they are.</param>
    /// <param name="first">Start of the first moments.</param>
    /// <param name="second">Start of the second moments.</param>
    /// <param name="begin">First element.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="step">The step's numbers.</param>
    public static void Step(float* parameters, float* gradients, float* first, float* second, long begin, long end, in AdamWStep step)
        => Step(Kernels.Width, parameters, gradients, first, second, begin, end, step);

    /// <summary>
    /// Sums of squares of chunks [begin, end) of <see cref="NormChunk"/> elements, in double. Adding up all chunks in order gives the squared norm,
    /// the same for any number of threads.
    /// </summary>
    /// <param name="values">Start of the values.</param>
    /// <param name="count">All values.</param>
    /// <param name="sums">One sum a chunk of the whole.</param>
    /// <param name="begin">First chunk.</param>
    /// <param name="end">One past the last chunk.</param>
    public static void SquaredNorms(float* values, long count, double* sums, long begin, long end)
    {
        for (var chunk = begin; chunk < end; chunk++)
        {
            var at = chunk * NormChunk;
            sums[chunk] = SquaredNorm(Kernels.Width, values + at, Math.Min(NormChunk, count - at));
        }
    }

    /// <summary>Chunks of a buffer.</summary>
    /// <param name="count">All values.</param>
    public static long NormChunks(long count) => (count + NormChunk - 1) / NormChunk;

    internal static void Step(KernelWidth width, float* parameters, float* gradients, float* first, float* second, long begin, long end, in AdamWStep step)
    {
        var scale = (float)step.GradientScale;
        var keep = (float)(1 - step.LearningRate * step.WeightDecay);
        var mix1 = (float)(1 - step.Beta1);
        var beta2 = (float)step.Beta2;
        var mix2 = (float)(1 - step.Beta2);
        var rate = (float)(step.LearningRate / (1 - Math.Pow(step.Beta1, step.Step)));
        var root = (float)Math.Sqrt(1 - Math.Pow(step.Beta2, step.Step));
        var epsilon = (float)step.Epsilon;
        var i = begin;
        if (width == KernelWidth.Vector512)
        {
            for (; i + 16 <= end; i += 16)
            {
                var g = Vector512.Load(gradients + i) * scale;
                var m = Vector512.Load(first + i);
                m += (g - m) * mix1;
                var v = Vector512.Load(second + i) * beta2 + g * g * mix2;
                m.Store(first + i);
                v.Store(second + i);
                var denominator = Vector512.Sqrt(v) / Vector512.Create(root) + Vector512.Create(epsilon);
                (Vector512.Load(parameters + i) * keep - m / denominator * rate).Store(parameters + i);
            }
        }
        if (width is KernelWidth.Vector256 or KernelWidth.Vector512)
        {
            for (; i + 8 <= end; i += 8)
            {
                var g = Vector256.Load(gradients + i) * scale;
                var m = Vector256.Load(first + i);
                m += (g - m) * mix1;
                var v = Vector256.Load(second + i) * beta2 + g * g * mix2;
                m.Store(first + i);
                v.Store(second + i);
                var denominator = Vector256.Sqrt(v) / Vector256.Create(root) + Vector256.Create(epsilon);
                (Vector256.Load(parameters + i) * keep - m / denominator * rate).Store(parameters + i);
            }
        }
        if (width != KernelWidth.Scalar)
        {
            for (; i + 4 <= end; i += 4)
            {
                var g = Vector128.Load(gradients + i) * scale;
                var m = Vector128.Load(first + i);
                m += (g - m) * mix1;
                var v = Vector128.Load(second + i) * beta2 + g * g * mix2;
                m.Store(first + i);
                v.Store(second + i);
                var denominator = Vector128.Sqrt(v) / Vector128.Create(root) + Vector128.Create(epsilon);
                (Vector128.Load(parameters + i) * keep - m / denominator * rate).Store(parameters + i);
            }
        }
        for (; i < end; i++)
        {
            var g = gradients[i] * scale;
            var m = first[i];
            m += (g - m) * mix1;
            var v = second[i] * beta2 + g * g * mix2;
            first[i] = m;
            second[i] = v;
            var denominator = MathF.Sqrt(v) / root + epsilon;
            parameters[i] = parameters[i] * keep - m / denominator * rate;
        }
    }

    /// <summary>Sixteen running sums in double, lane = index mod 16, added up pairwise: the order is the same at every width.</summary>
    internal static double SquaredNorm(KernelWidth width, float* values, long count)
    {
        var lanes = stackalloc double[16];
        for (var lane = 0; lane < 16; lane++) lanes[lane] = 0;
        long i = 0;
        if (width == KernelWidth.Vector512)
        {
            Vector512<double> a = Vector512<double>.Zero, b = Vector512<double>.Zero;
            for (; i + 16 <= count; i += 16)
            {
                var (low, high) = Vector512.Widen(Vector512.Load(values + i));
                a += low * low;
                b += high * high;
            }
            a.Store(lanes);
            b.Store(lanes + 8);
        }
        else if (width != KernelWidth.Scalar)
        {
            Vector256<double> a = Vector256<double>.Zero, b = a, c = a, d = a;
            for (; i + 16 <= count; i += 16)
            {
                var (x, y) = Vector256.Widen(Vector256.Load(values + i));
                var (z, w) = Vector256.Widen(Vector256.Load(values + i + 8));
                a += x * x;
                b += y * y;
                c += z * z;
                d += w * w;
            }
            a.Store(lanes);
            b.Store(lanes + 4);
            c.Store(lanes + 8);
            d.Store(lanes + 12);
        }
        for (; i < count; i++) lanes[i % 16] += (double)values[i] * values[i];
        for (var span = 8; span > 0; span /= 2)
            for (var lane = 0; lane < span; lane++) lanes[lane] += lanes[lane + span];
        return lanes[0];
    }
}
