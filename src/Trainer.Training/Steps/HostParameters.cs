using Trainer.Distributed;
using Trainer.Engine;
using Trainer.Training.Optimizers;

namespace Trainer.Training;

/// <summary>Parameters in this process's memory.</summary>
/// <param name="tensors">The tensors, in buffer order.</param>
/// <param name="values">Gives the values.</param>
/// <param name="gradients">Gives the gradients.</param>
internal sealed class HostParameters(IReadOnlyList<ParameterEntry> tensors, Func<Span<float>> values, Func<Span<float>> gradients) : IParameterStore
{
    public IReadOnlyList<ParameterEntry> Tensors => tensors;

    public int Length => values().Length;

    public void ClearGradients() => gradients().Clear();

    public void SumGradients(ICollective ranks, Span<double> riders) => ranks.Sum(gradients(), riders);

    public double GradientNorm() => Training.GradientNorm.Of(gradients());

    public void Step(IOptimizer optimizer, in OptimizerStep step) => optimizer.Step(values(), gradients(), step);

    public ReadOnlySpan<float> HostValues() => values();

    public ReadOnlySpan<float> HostGradients() => gradients();

    public void Write(ReadOnlySpan<float> replacement) => replacement.CopyTo(values());
}
