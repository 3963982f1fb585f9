using Trainer.Engine.Native;
using Trainer.Numerics.Optimizer;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>AdamW with bias correction and decoupled weight decay (arXiv 1711.05101), as torch.optim.AdamW.</summary>
internal sealed partial class AdamW : IDeviceOptimizer
{
    private readonly OptimizerSetup _setup;
    private readonly LongArray<float> _first;
    private readonly LongArray<float> _second;
    private readonly IReadOnlyList<StateTensor> _state;

    /// <param name="setup">What is trained, and the run's options.</param>
    public AdamW(OptimizerSetup setup)
    {
        _setup = setup;
        (_first, _second) = (new LongArray<float>(setup.Length), new LongArray<float>(setup.Length));
        _state = [.. StateTensor.Alike("exp_avg", setup.Tensors, _first), .. StateTensor.Alike("exp_avg_sq", setup.Tensors, _second)];
    }

    /// <summary>The moments, on the host from here on.</summary>
    public IReadOnlyList<StateTensor> State
    {
        get
        {
            BringMomentsHome();
            return _state;
        }
    }

    public void Dispose()
    {
        _onDevice?.Dispose();
        _first.Dispose();
        _second.Dispose();
    }

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        BringMomentsHome();
        foreach (var group in _setup.Groups)
        {
            var (begin, length) = (group.Begin, group.Count);
            var update = Numbers(group, step);
            ComputeThreads.ForSpans(values.Slice(begin, length), gradients.Slice(begin, length), (part, slopes, at) =>
                SpanAdamW.Step(part, slopes, _first.All.Slice(begin + at, part.Length), _second.All.Slice(begin + at, part.Length), update));
        }
    }

    private AdamWStep Numbers(ParameterGroup group, in OptimizerStep step)
    {
        var options = _setup.Options;
        return new AdamWStep(step.LearningRate * group.RateFactor, options.AdamBeta1, options.AdamBeta2, options.AdamEpsilon, options.WeightDecay,
            step.GradientScale, step.Number);
    }
}
