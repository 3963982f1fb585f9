namespace Trainer.Training;

/// <summary>The global norm of the gradients and what clipping makes of it.</summary>
internal static class GradientNorm
{
    /// <summary>The Euclidean norm of the whole buffer; NaN or infinite where an element is.</summary>
    public static double Of(ReadOnlySpan<float> gradients)
    {
        // Four running sums in double: an fp32 square overflows at 1.8e19, and the order must not depend on the machine's vector width.
        double a = 0, b = 0, c = 0, d = 0;
        var i = 0;
        for (; i + 4 <= gradients.Length; i += 4)
        {
            a += (double)gradients[i] * gradients[i];
            b += (double)gradients[i + 1] * gradients[i + 1];
            c += (double)gradients[i + 2] * gradients[i + 2];
            d += (double)gradients[i + 3] * gradients[i + 3];
        }
        for (; i < gradients.Length; i++) a += (double)gradients[i] * gradients[i];
        return Math.Sqrt(a + b + (c + d));
    }

    /// <summary>torch.nn.utils.clip_grad_norm_: the multiplier that brings the norm down to the limit, at most 1.</summary>
    /// <param name="norm">Norm before clipping.</param>
    /// <param name="limit">Limit; 0 is off.</param>
    public static double ClipCoefficient(double norm, double limit) => limit <= 0 ? 1 : Math.Min(1, limit / (norm + 1e-6));
}
