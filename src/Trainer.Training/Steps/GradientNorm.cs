using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Steps;

/// <summary>The global norm of the gradients and what clipping makes of it.</summary>
internal static class GradientNorm
{
    // Blocks of a fixed size, a multiple of 4, whose sums are added in their order: the norm does not depend on the number of threads.
    private const int Block = 1 << 20;

    /// <summary>The Euclidean norm of the whole buffer; NaN or infinite where an element is.</summary>
    public static double Of(ReadOnlyLongSpan<float> gradients)
    {
        var parts = new (Vector128<double> Ab, Vector128<double> Cd)[(gradients.Length + Block - 1) / Block];
        ComputeThreads.ForBlocks(gradients, Block, (block, index) => parts[index] = Squares(block));
        var (ab, cd) = (Vector128<double>.Zero, Vector128<double>.Zero);
        foreach (var part in parts) (ab, cd) = (ab + part.Ab, cd + part.Cd);
        return Math.Sqrt(ab[0] + ab[1] + (cd[0] + cd[1]));
    }

    // Four running sums in double, in two registers: an fp32 square overflows at 1.8e19, and the order must not depend on the machine's vector width.
    private static (Vector128<double> Ab, Vector128<double> Cd) Squares(ReadOnlySpan<float> block)
    {
        var (ab, cd) = (Vector128<double>.Zero, Vector128<double>.Zero);
        var fours = MemoryMarshal.Cast<float, Vector128<float>>(block);
        foreach (var four in fours)
        {
            var (low, high) = Vector128.Widen(four);
            ab += low * low;
            cd += high * high;
        }
        if (fours.Length * 4 == block.Length) return (ab, cd);
        var rest = ab[0];
        foreach (var last in block[(fours.Length * 4)..]) rest += (double)last * last;
        return (ab.WithElement(0, rest), cd);
    }

    /// <summary>torch.nn.utils.clip_grad_norm_: the multiplier that brings the norm down to the limit, at most 1.</summary>
    /// <param name="norm">Norm before clipping.</param>
    /// <param name="limit">Limit; 0 is off.</param>
    public static double ClipCoefficient(double norm, double limit) => limit <= 0 ? 1 : Math.Min(1, limit / (norm + 1e-6));
}
