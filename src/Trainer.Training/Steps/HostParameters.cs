using Trainer.Distributed;
using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Numerics.Spans;
using Trainer.Training.Optimizers;

namespace Trainer.Training.Steps;

/// <summary>Parameters in this process's memory.</summary>
/// <param name="tensors">The tensors, in buffer order.</param>
/// <param name="values">Gives the values.</param>
/// <param name="gradients">Gives the gradients.</param>
/// <param name="frozen">Elements that no step changes; null for none.</param>
internal sealed class HostParameters(
    IReadOnlyList<ParameterEntry> tensors, Func<LongSpan<float>> values, Func<LongSpan<float>> gradients,
    IReadOnlyList<FrozenBlock>? frozen = null) : IParameterStore
{
    public IReadOnlyList<ParameterEntry> Tensors => tensors;

    public long Length => values().Length;

    public void ClearGradients() => ComputeThreads.ForSpans(gradients(), gradients(), (part, _, _) => part.Clear());

    public void SumGradients(ICollective ranks, Span<double> riders)
    {
        foreach (var block in frozen ?? []) block.Clear(gradients());
        // The riders travel with the last block.
        foreach (var (begin, count) in LongBlocks.Of(Length)) ranks.Sum(gradients().Span(begin, count), begin + count == Length ? riders : []);
    }

    public double GradientNorm() => Training.Steps.GradientNorm.Of(gradients());

    public void Step(IOptimizer optimizer, in OptimizerStep step)
    {
        using var before = frozen is { Count: > 0 } ? values().ToLongArray() : null;
        optimizer.Step(values(), gradients(), step);
        // Decay, or a rule that knows no gradient of 0, would move them.
        foreach (var block in frozen ?? []) block.Copy(before!.All, values());
    }

    public ReadOnlyLongSpan<float> HostValues() => values();

    public ReadOnlyLongSpan<float> HostGradients() => gradients();

    public void Write(long begin, ReadOnlyLongSpan<float> replacement) => replacement.CopyTo(values().Slice(begin, replacement.Length));
}
