using Trainer.Numerics.Spans;

namespace Trainer.Numerics.Optimizer;

/// <summary><see cref="FlatAdamW"/> for callers that hold spans and no pointers.</summary>
public static unsafe class SpanAdamW
{
    /// <summary>Steps every element; the four spans have the same length.</summary>
    /// <param name="parameters">The parameters, float32.</param>
    /// <param name="gradients">Their gradients; left as they are.</param>
    /// <param name="first">First moments.</param>
    /// <param name="second">Second moments.</param>
    /// <param name="step">The step's numbers.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Step(LongSpan<float> parameters, ReadOnlyLongSpan<float> gradients, LongSpan<float> first, LongSpan<float> second, in AdamWStep step)
    {
        if (gradients.Length != parameters.Length || first.Length != parameters.Length || second.Length != parameters.Length)
            throw new ArgumentException("parameters, gradients and moments differ in length");
        fixed (float* p = parameters, g = gradients, m = first, v = second)
            FlatAdamW.Step(p, g, m, v, 0, parameters.Length, step);
    }
}
