using Trainer.Numerics.Optimizer;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>AdamW with bias correction and decoupled weight decay (arXiv 1711.05101), as torch.optim.AdamW.</summary>
internal sealed class AdamW : IOptimizer
{
    private readonly OptimizerSetup _setup;
    private readonly LongArray<float> _first;
    private readonly LongArray<float> _second;

    /// <param name="setup">What is trained, and the run's options.</param>
    public AdamW(OptimizerSetup setup)
    {
        _setup = setup;
        (_first, _second) = (new LongArray<float>(setup.Length), new LongArray<float>(setup.Length));
        State = [.. StateTensor.Alike("exp_avg", setup.Tensors, _first), .. StateTensor.Alike("exp_avg_sq", setup.Tensors, _second)];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        var options = _setup.Options;
        foreach (var group in _setup.Groups)
        {
            var (begin, length) = (group.Begin, group.Count);
            SpanAdamW.Step(
                values.Slice(begin, length), gradients.Slice(begin, length), _first.All.Slice(begin, length), _second.All.Slice(begin, length),
                new AdamWStep(
                    step.LearningRate * group.RateFactor, options.AdamBeta1, options.AdamBeta2, options.AdamEpsilon, options.WeightDecay, step.GradientScale, step.Number));
        }
    }
}
