using Trainer.Distributed;
using Trainer.Engine;
using Trainer.Training.Optimizers;

namespace Trainer.Training;

/// <summary>Parameters in this process's memory.</summary>
/// <param name="tensors">The tensors, in buffer order.</param>
/// <param name="values">Gives the values.</param>
/// <param name="gradients">Gives the gradients.</param>
/// <param name="frozen">Elements that no step changes; null for none.</param>
internal sealed class HostParameters(
    IReadOnlyList<ParameterEntry> tensors, Func<Span<float>> values, Func<Span<float>> gradients, IReadOnlyList<FrozenBlock>? frozen = null) : IParameterStore
{
    public IReadOnlyList<ParameterEntry> Tensors => tensors;

    public int Length => values().Length;

    public void ClearGradients() => gradients().Clear();

    public void SumGradients(ICollective ranks, Span<double> riders)
    {
        foreach (var block in frozen ?? []) block.Clear(gradients());
        ranks.Sum(gradients(), riders);
    }

    public double GradientNorm() => Training.GradientNorm.Of(gradients());

    public void Step(IOptimizer optimizer, in OptimizerStep step)
    {
        var before = frozen is { Count: > 0 } ? values().ToArray() : [];
        optimizer.Step(values(), gradients(), step);
        // Decay, or a rule that knows no gradient of 0, would move them.
        foreach (var block in frozen ?? []) block.Copy(before, values());
    }

    public ReadOnlySpan<float> HostValues() => values();

    public ReadOnlySpan<float> HostGradients() => gradients();

    public void Write(ReadOnlySpan<float> replacement) => replacement.CopyTo(values());
}
