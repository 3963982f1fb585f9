using Trainer.Numerics.Optimizer;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>Adam (arXiv 1412.6980) as torch.optim.Adam: decay is part of the gradient, where <see cref="AdamW"/> takes it off the value.</summary>
internal sealed class Adam : IOptimizer
{
    private readonly OptimizerSetup _setup;
    private readonly LongArray<float> _first;
    private readonly LongArray<float> _second;
    private readonly float[] _decayed = new float[1 << 14];

    /// <param name="setup">What is trained, and the run's options.</param>
    public Adam(OptimizerSetup setup)
    {
        _setup = setup;
        (_first, _second) = (new LongArray<float>(setup.Length), new LongArray<float>(setup.Length));
        State = [.. StateTensor.Alike("exp_avg", setup.Tensors, _first), .. StateTensor.Alike("exp_avg_sq", setup.Tensors, _second)];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        var options = _setup.Options;
        var (scale, decay) = ((float)step.GradientScale, (float)options.WeightDecay);
        foreach (var group in _setup.Groups)
        {
            var update = new AdamWStep(step.LearningRate * group.RateFactor, options.AdamBeta1, options.AdamBeta2, options.AdamEpsilon, 0, 1, step.Number);
            for (long begin = group.Begin, end = group.Begin + group.Count; begin < end; begin += _decayed.Length)
            {
                var count = (int)Math.Min(_decayed.Length, end - begin);
                var p = values.Span(begin, count);
                var g = gradients.Span(begin, count);
                var decayed = _decayed.AsSpan(0, count);
                for (var i = 0; i < count; i++) decayed[i] = g[i] * scale + decay * p[i];
                SpanAdamW.Step(p, decayed, _first.All.Slice(begin, count), _second.All.Slice(begin, count), update);
            }
        }
    }
}
