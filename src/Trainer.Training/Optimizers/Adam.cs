using Trainer.Numerics.Optimizer;

namespace Trainer.Training.Optimizers;

/// <summary>Adam (arXiv 1412.6980) as torch.optim.Adam: decay is part of the gradient, where <see cref="AdamW"/> takes it off the value.</summary>
internal sealed class Adam : IOptimizer
{
    private readonly OptimizerSetup _setup;
    private readonly float[] _first;
    private readonly float[] _second;
    private float[] _decayed = [];

    /// <param name="setup">What is trained, and the run's options.</param>
    public Adam(OptimizerSetup setup)
    {
        _setup = setup;
        (_first, _second) = (new float[setup.Length], new float[setup.Length]);
        State = [.. StateTensor.Alike("exp_avg", setup.Tensors, _first), .. StateTensor.Alike("exp_avg_sq", setup.Tensors, _second)];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public void Step(Span<float> values, ReadOnlySpan<float> gradients, in OptimizerStep step)
    {
        var options = _setup.Options;
        var (scale, decay) = ((float)step.GradientScale, (float)options.WeightDecay);
        if (_decayed.Length < gradients.Length) _decayed = new float[gradients.Length];
        for (var i = 0; i < gradients.Length; i++) _decayed[i] = gradients[i] * scale + decay * values[i];
        foreach (var group in _setup.Groups)
        {
            var (begin, length) = (group.Begin, group.Count);
            SpanAdamW.Step(
                values.Slice(begin, length), _decayed.AsSpan(begin, length), _first.AsSpan(begin, length), _second.AsSpan(begin, length),
                new AdamWStep(step.LearningRate * group.RateFactor, options.AdamBeta1, options.AdamBeta2, options.AdamEpsilon, 0, 1, step.Number));
        }
    }
}
