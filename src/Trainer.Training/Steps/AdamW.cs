using Trainer.Numerics.Optimizer;

namespace Trainer.Training;

/// <summary>AdamW with bias correction and decoupled weight decay (arXiv 1711.05101) over the flat buffer, and its moments.</summary>
internal sealed class AdamW(int count, double beta1, double beta2, double epsilon, double weightDecay)
{
    /// <summary>m, laid out as the parameters.</summary>
    public float[] FirstMoments { get; } = new float[count];

    /// <summary>v, laid out as the parameters.</summary>
    public float[] SecondMoments { get; } = new float[count];

    /// <summary>Updates one parameter group.</summary>
    /// <param name="values">All parameters.</param>
    /// <param name="gradients">All gradients.</param>
    /// <param name="begin">First element of the group.</param>
    /// <param name="length">Elements of the group.</param>
    /// <param name="step">One-based optimizer step.</param>
    /// <param name="learningRate">Rate of this group at this step.</param>
    /// <param name="gradientScale">Multiplier of every gradient: the clipping coefficient.</param>
    public void Step(Span<float> values, ReadOnlySpan<float> gradients, int begin, int length, int step, double learningRate, double gradientScale) =>
        SpanAdamW.Step(
            values.Slice(begin, length), gradients.Slice(begin, length), FirstMoments.AsSpan(begin, length), SecondMoments.AsSpan(begin, length),
            new AdamWStep(learningRate, beta1, beta2, epsilon, weightDecay, gradientScale, step));
}
