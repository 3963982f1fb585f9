namespace Trainer.Training.Optimizers;

/// <summary>Stochastic gradient descent, p -= rate (g + decay p), as torch.optim.SGD without momentum. It remembers nothing.</summary>
internal sealed class Sgd(OptimizerSetup setup) : IOptimizer
{
    public IReadOnlyList<StateTensor> State => [];

    public void Step(Span<float> values, ReadOnlySpan<float> gradients, in OptimizerStep step)
    {
        var (scale, decay) = ((float)step.GradientScale, (float)setup.Options.WeightDecay);
        foreach (var group in setup.Groups)
        {
            var rate = (float)(step.LearningRate * group.RateFactor);
            for (var i = group.Begin; i < group.Begin + group.Count; i++)
                values[i] -= rate * (gradients[i] * scale + decay * values[i]);
        }
    }
}
