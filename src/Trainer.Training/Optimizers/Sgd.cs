using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>
/// Stochastic gradient descent as torch.optim.SGD: g += decay p; with momentum b = momentum b + (1 - dampening) g, the first b being g itself;
/// p -= rate b, or rate (g + momentum b) as Nesterov has it. Without momentum it remembers nothing.
/// </summary>
internal sealed class Sgd : IOptimizer
{
    public static readonly IReadOnlyList<ArgumentSpec> Arguments =
        [new("momentum", "0") { Maximum = 1 }, new("dampening", "0") { Maximum = 1 }, ArgumentSpec.Flag("nesterov", false)];

    private readonly OptimizerSetup _setup;
    private readonly float _momentum;
    private readonly float _intake;
    private readonly bool _nesterov;
    private readonly LongArray<float>? _buffer;

    /// <param name="setup">What is trained, and the run's options.</param>
    /// <exception cref="OptionException">Nesterov without momentum.</exception>
    public Sgd(OptimizerSetup setup)
    {
        _setup = setup;
        _momentum = (float)setup.Arguments.Number("momentum");
        _intake = 1 - (float)setup.Arguments.Number("dampening");
        _nesterov = setup.Arguments.IsOn("nesterov");
        if (_nesterov && (_momentum == 0 || _intake != 1))
            throw new OptionException("--optim-args: nesterov needs a momentum above 0 and no dampening; add momentum=0.9");
        if (_momentum > 0) _buffer = new LongArray<float>(setup.Length);
        State = _buffer is null ? [] : [.. StateTensor.Alike("momentum_buffer", setup.Tensors, _buffer)];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public static long StateBytes(Arguments arguments, long[] shape) => arguments.Number("momentum") > 0 ? 4 * OptimizerKind.Count(shape) : 0;

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        var (scale, decay) = ((float)step.GradientScale, (float)_setup.Options.WeightDecay);
        foreach (var group in _setup.Groups)
        {
            var rate = (float)(step.LearningRate * group.RateFactor);
            var (first, number) = (group.Begin, step.Number);
            ComputeThreads.ForSpans(values.Slice(first, group.Count), gradients.Slice(first, group.Count), (part, slopes, at) =>
            {
                var buffer = _buffer is null ? [] : _buffer.All.Span(first + at, part.Length);
                for (var i = 0; i < part.Length; i++)
                {
                    var g = slopes[i] * scale + decay * part[i];
                    if (_buffer is not null)
                    {
                        buffer[i] = number == 1 ? g : _momentum * buffer[i] + _intake * g;
                        g = _nesterov ? g + _momentum * buffer[i] : buffer[i];
                    }
                    part[i] -= rate * g;
                }
            });
        }
    }
}
