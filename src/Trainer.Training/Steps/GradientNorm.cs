using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Steps;

/// <summary>The global norm of the gradients and what clipping makes of it.</summary>
internal static class GradientNorm
{
    /// <summary>The Euclidean norm of the whole buffer; NaN or infinite where an element is.</summary>
    public static double Of(ReadOnlyLongSpan<float> gradients)
    {
        // Four running sums in double, in two registers: an fp32 square overflows at 1.8e19, and the order must not depend on the machine's vector width or
        // threads.
        var (ab, cd) = (Vector128<double>.Zero, Vector128<double>.Zero);
        // Blocks are multiples of 4: the sums are those of one long loop.
        foreach (var (begin, count) in LongBlocks.Of(gradients.Length))
        {
            var block = gradients.Span(begin, count);
            var fours = MemoryMarshal.Cast<float, Vector128<float>>(block);
            foreach (var four in fours)
            {
                var (low, high) = Vector128.Widen(four);
                ab += low * low;
                cd += high * high;
            }
            if (fours.Length * 4 == block.Length) continue;
            var rest = ab[0];
            foreach (var last in block[(fours.Length * 4)..]) rest += (double)last * last;
            ab = ab.WithElement(0, rest);
        }
        return Math.Sqrt(ab[0] + ab[1] + (cd[0] + cd[1]));
    }

    /// <summary>torch.nn.utils.clip_grad_norm_: the multiplier that brings the norm down to the limit, at most 1.</summary>
    /// <param name="norm">Norm before clipping.</param>
    /// <param name="limit">Limit; 0 is off.</param>
    public static double ClipCoefficient(double norm, double limit) => limit <= 0 ? 1 : Math.Min(1, limit / (norm + 1e-6));
}
