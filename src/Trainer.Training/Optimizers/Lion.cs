using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>
/// Lion (arXiv 2302.06675) as bitsandbytes computes it: p shrinks by rate decay, then p -= rate sign(beta1 m + (1 - beta1) g),
/// m = beta2 m + (1 - beta2) g. Its betas are --adam-beta1 and --adam-beta2, as transformers has it.
/// </summary>
internal sealed class Lion : IOptimizer
{
    private readonly OptimizerSetup _setup;
    private readonly LongArray<float> _momentum;

    /// <param name="setup">What is trained, and the run's options.</param>
    public Lion(OptimizerSetup setup)
    {
        (_setup, _momentum) = (setup, new LongArray<float>(setup.Length));
        State = [.. StateTensor.Alike("exp_avg", setup.Tensors, _momentum)];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        var options = _setup.Options;
        var (scale, beta1, beta2) = ((float)step.GradientScale, (float)options.AdamBeta1, (float)options.AdamBeta2);
        foreach (var group in _setup.Groups)
        {
            var rate = (float)(step.LearningRate * group.RateFactor);
            var keep = (float)(1 - step.LearningRate * group.RateFactor * options.WeightDecay);
            var first = group.Begin;
            ComputeThreads.ForSpans(values.Slice(first, group.Count), gradients.Slice(first, group.Count), (part, slopes, at) =>
            {
                var momentum = _momentum.All.Span(first + at, part.Length);
                for (var i = 0; i < part.Length; i++)
                {
                    var g = slopes[i] * scale;
                    var direction = beta1 * momentum[i] + (1 - beta1) * g;
                    part[i] = part[i] * keep - rate * (direction > 0 ? 1 : direction < 0 ? -1 : 0);
                    momentum[i] = beta2 * momentum[i] + (1 - beta2) * g;
                }
            });
        }
    }
}
