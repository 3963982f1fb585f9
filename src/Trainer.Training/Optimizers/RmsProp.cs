using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>
/// RMSprop as torch.optim.RMSprop: g += decay p; v = alpha v + (1 - alpha) g²; d = g / (sqrt(v) + eps), where centered is on with the variance v - m² in
/// place of v, m the mean of g alike; with momentum b = momentum b + d takes d's place; p -= rate d.
/// </summary>
internal sealed class RmsProp : IOptimizer
{
    public static readonly IReadOnlyList<ArgumentSpec> Arguments =
        [new("alpha", "0.99") { Maximum = 1 }, new("momentum", "0") { Maximum = 1 }, ArgumentSpec.Flag("centered", false), new("eps", "1e-8")];

    private readonly OptimizerSetup _setup;
    private readonly LongArray<float> _second;
    private readonly LongArray<float>? _mean, _buffer;

    /// <param name="setup">What is trained, and the run's options.</param>
    public RmsProp(OptimizerSetup setup)
    {
        (_setup, _second) = (setup, new LongArray<float>(setup.Length));
        if (setup.Arguments.IsOn("centered")) _mean = new LongArray<float>(setup.Length);
        if (setup.Arguments.Number("momentum") > 0) _buffer = new LongArray<float>(setup.Length);
        State =
        [
            .. StateTensor.Alike("square_avg", setup.Tensors, _second),
            .. _mean is null ? [] : StateTensor.Alike("grad_avg", setup.Tensors, _mean),
            .. _buffer is null ? [] : StateTensor.Alike("momentum_buffer", setup.Tensors, _buffer),
        ];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public static long StateBytes(Arguments arguments, long[] shape) =>
        4 * OptimizerKind.Count(shape) * (1 + (arguments.IsOn("centered") ? 1 : 0) + (arguments.Number("momentum") > 0 ? 1 : 0));

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        var (scale, decay) = ((float)step.GradientScale, (float)_setup.Options.WeightDecay);
        var (alpha, momentum, floor) = ((float)_setup.Arguments.Number("alpha"), (float)_setup.Arguments.Number("momentum"),
            (float)_setup.Arguments.Number("eps"));
        foreach (var group in _setup.Groups)
        {
            var rate = (float)(step.LearningRate * group.RateFactor);
            var first = group.Begin;
            ComputeThreads.ForSpans(values.Slice(first, group.Count), gradients.Slice(first, group.Count), (part, slopes, at) =>
            {
                var second = _second.All.Span(first + at, part.Length);
                var mean = _mean is null ? [] : _mean.All.Span(first + at, part.Length);
                var buffer = _buffer is null ? [] : _buffer.All.Span(first + at, part.Length);
                for (var i = 0; i < part.Length; i++)
                {
                    var g = slopes[i] * scale + decay * part[i];
                    second[i] = alpha * second[i] + (1 - alpha) * g * g;
                    var spread = second[i];
                    if (_mean is not null)
                    {
                        mean[i] += (1 - alpha) * (g - mean[i]);
                        spread -= mean[i] * mean[i];
                    }
                    var d = g / (MathF.Sqrt(MathF.Max(0, spread)) + floor);
                    if (_buffer is not null) d = buffer[i] = momentum * buffer[i] + d;
                    part[i] -= rate * d;
                }
            });
        }
    }
}
