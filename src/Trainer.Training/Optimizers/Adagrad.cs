using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>
/// Adagrad (Duchi et al. 2011) as torch.optim.Adagrad: g += decay p; s += g²; p -= rate / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps). Sums only grow, so
/// steps only shrink.
/// </summary>
internal sealed class Adagrad : IOptimizer
{
    public static readonly IReadOnlyList<ArgumentSpec> Arguments = [new("lr_decay", "0"), new("initial_accumulator_value", "0"), new("eps", "1e-10")];

    private readonly OptimizerSetup _setup;
    private readonly LongArray<float> _sums;

    /// <param name="setup">What is trained, and the run's options.</param>
    public Adagrad(OptimizerSetup setup)
    {
        (_setup, _sums) = (setup, new LongArray<float>(setup.Length));
        _sums.All.Fill((float)setup.Arguments.Number("initial_accumulator_value"));
        State = [.. StateTensor.Alike("sum", setup.Tensors, _sums)];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        var (scale, decay, floor) = ((float)step.GradientScale, (float)_setup.Options.WeightDecay, (float)_setup.Arguments.Number("eps"));
        var slower = 1 + (step.Number - 1) * _setup.Arguments.Number("lr_decay");
        foreach (var group in _setup.Groups)
        {
            var rate = (float)(step.LearningRate * group.RateFactor / slower);
            var first = group.Begin;
            ComputeThreads.ForSpans(values.Slice(first, group.Count), gradients.Slice(first, group.Count), (part, slopes, at) =>
            {
                var sums = _sums.All.Span(first + at, part.Length);
                for (var i = 0; i < part.Length; i++)
                {
                    var g = slopes[i] * scale + decay * part[i];
                    sums[i] += g * g;
                    part[i] -= rate * (g / (MathF.Sqrt(sums[i]) + floor));
                }
            });
        }
    }
}
