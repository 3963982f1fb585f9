using Trainer.Numerics.Spans;

namespace Trainer.Training;

/// <summary>The global norm of the gradients and what clipping makes of it.</summary>
internal static class GradientNorm
{
    /// <summary>The Euclidean norm of the whole buffer; NaN or infinite where an element is.</summary>
    public static double Of(ReadOnlyLongSpan<float> gradients)
    {
        // Four running sums in double: an fp32 square overflows at 1.8e19, and the order must not depend on the machine's vector width.
        double a = 0, b = 0, c = 0, d = 0;
        // Blocks are multiples of 4: the sums are those of one long loop.
        foreach (var (begin, count) in LongBlocks.Of(gradients.Length))
        {
            var block = gradients.Span(begin, count);
            var i = 0;
            for (; i + 4 <= block.Length; i += 4)
            {
                a += (double)block[i] * block[i];
                b += (double)block[i + 1] * block[i + 1];
                c += (double)block[i + 2] * block[i + 2];
                d += (double)block[i + 3] * block[i + 3];
            }
            for (; i < block.Length; i++) a += (double)block[i] * block[i];
        }
        return Math.Sqrt(a + b + (c + d));
    }

    /// <summary>torch.nn.utils.clip_grad_norm_: the multiplier that brings the norm down to the limit, at most 1.</summary>
    /// <param name="norm">Norm before clipping.</param>
    /// <param name="limit">Limit; 0 is off.</param>
    public static double ClipCoefficient(double norm, double limit) => limit <= 0 ? 1 : Math.Min(1, limit / (norm + 1e-6));
}
