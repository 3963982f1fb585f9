using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>
/// Schedule-free AdamW (arXiv 2405.15682), as facebookresearch/schedule_free. With d = g / (sqrt(v / (1 - beta2^t)) + eps) + decay y and
/// c = w / sum of w: y += c (z - y) + rate (beta1 (1 - c) - 1) d; z -= rate d. The values in training are y; what is evaluated and saved is the
/// average x = y + (1 - 1 / beta1) (z - y).
/// </summary>
internal sealed class ScheduleFreeAdamW : IOptimizer
{
    public static readonly IReadOnlyList<ArgumentSpec> Arguments = [new("warmup_steps", "0"), new("r", "0"), new("weight_lr_power", "2")];

    private readonly OptimizerSetup _setup;
    private readonly LongArray<float> _z;
    private readonly LongArray<float> _second;
    private readonly LongArray<double> _weightSum;
    private readonly LongArray<double> _highestRate;
    private readonly LongArray<double> _isBegun = new(1);

    /// <param name="setup">What is trained, and the run's options.</param>
    public ScheduleFreeAdamW(OptimizerSetup setup)
    {
        _setup = setup;
        if (setup.Options.AdamBeta1 <= 0) throw new OptionException("--optim schedule-free-adamw averages with --adam-beta1: it must be above 0");
        (_z, _second) = (new LongArray<float>(setup.Length), new LongArray<float>(setup.Length));
        (_weightSum, _highestRate) = (new LongArray<double>(setup.Groups.Count), new LongArray<double>(setup.Groups.Count));
        State =
        [
            .. StateTensor.Alike("z", setup.Tensors, _z), .. StateTensor.Alike("exp_avg_sq", setup.Tensors, _second),
            StateTensor.Of("weight_sum", _weightSum), StateTensor.Of("lr_max", _highestRate), StateTensor.Of("begun", _isBegun),
        ];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        LongSpan<float> z = _z.All, second = _second.All;
        if (_isBegun[0] == 0)
            foreach (var tensor in _setup.Tensors) values.Slice(tensor.Offset, tensor.Count).CopyTo(z.Slice(tensor.Offset, tensor.Count));
        _isBegun[0] = 1;
        var (options, arguments) = (_setup.Options, _setup.Arguments);
        var (scale, beta1, beta2, decay) = ((float)step.GradientScale, options.AdamBeta1, (float)options.AdamBeta2, (float)options.WeightDecay);
        var (root, epsilon) = ((float)Math.Sqrt(1 - Math.Pow(options.AdamBeta2, step.Number)), (float)options.AdamEpsilon);
        var rise = Math.Min(1, step.Number / Math.Max(1, arguments.Number("warmup_steps")));
        for (var index = 0; index < _setup.Groups.Count; index++)
        {
            var group = _setup.Groups[index];
            var rate = step.LearningRate * group.RateFactor * rise;
            _highestRate[index] = Math.Max(_highestRate[index], rate);
            var weight = Math.Pow(step.Number, arguments.Number("r")) * Math.Pow(_highestRate[index], arguments.Number("weight_lr_power"));
            _weightSum[index] += weight;
            var mix = _weightSum[index] == 0 ? 0 : weight / _weightSum[index];
            var (toZ, along, back) = ((float)mix, (float)(rate * (beta1 * (1 - mix) - 1)), (float)rate);
            for (var i = group.Begin; i < group.Begin + group.Count; i++)
            {
                var g = gradients[i] * scale;
                second[i] = second[i] * beta2 + g * g * (1 - beta2);
                var d = g / (MathF.Sqrt(second[i]) / root + epsilon) + decay * values[i];
                values[i] += toZ * (z[i] - values[i]);
                values[i] += along * d;
                z[i] -= back * d;
            }
        }
    }

    public bool HasAverages => _isBegun[0] != 0;

    public void Average(ReadOnlyLongSpan<float> values, LongSpan<float> averages)
    {
        var (z, out_) = (_z, (float)(1 - 1 / _setup.Options.AdamBeta1));
        foreach (var tensor in _setup.Tensors)
            for (var i = tensor.Offset; i < tensor.Offset + tensor.Count; i++) averages[i] = values[i] + out_ * (z[i] - values[i]);
    }
}
