using Trainer.Engine.Native;
using Trainer.Numerics.Optimizer;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>Adam (arXiv 1412.6980) as torch.optim.Adam: decay is part of the gradient, where <see cref="AdamW"/> takes it off the value.</summary>
internal sealed class Adam : IOptimizer
{
    // Decayed gradients that are held at a time: 16 KiB of a thread's stack.
    private const int Block = 1 << 12;

    private readonly OptimizerSetup _setup;
    private readonly LongArray<float> _first;
    private readonly LongArray<float> _second;

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
            var first = group.Begin;
            ComputeThreads.ForSpans(values.Slice(first, group.Count), gradients.Slice(first, group.Count), (part, slopes, at) =>
            {
                Span<float> room = stackalloc float[Block];
                for (var begin = 0; begin < part.Length; begin += Block)
                {
                    var p = part.Slice(begin, Math.Min(Block, part.Length - begin));
                    var decayed = room[..p.Length];
                    for (var i = 0; i < p.Length; i++) decayed[i] = slopes[begin + i] * scale + decay * p[i];
                    SpanAdamW.Step(p, decayed, _first.All.Slice(first + at + begin, p.Length), _second.All.Slice(first + at + begin, p.Length), update);
                }
            });
        }
    }
}
