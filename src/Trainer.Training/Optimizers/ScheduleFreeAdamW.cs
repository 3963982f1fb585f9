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
    private readonly float[] _z;
    private readonly float[] _second;
    private readonly double[] _weightSum;
    private readonly double[] _highestRate;
    private readonly double[] _isBegun = new double[1];

    /// <param name="setup">What is trained, and the run's options.</param>
    public ScheduleFreeAdamW(OptimizerSetup setup)
    {
        _setup = setup;
        if (setup.Options.AdamBeta1 <= 0) throw new OptionException("--optim schedule-free-adamw averages with --adam-beta1: it must be above 0");
        (_z, _second) = (new float[setup.Length], new float[setup.Length]);
        (_weightSum, _highestRate) = (new double[setup.Groups.Count], new double[setup.Groups.Count]);
        State =
        [
            .. StateTensor.Alike("z", setup.Tensors, _z), .. StateTensor.Alike("exp_avg_sq", setup.Tensors, _second),
            StateTensor.Of("weight_sum", _weightSum), StateTensor.Of("lr_max", _highestRate), StateTensor.Of("begun", _isBegun),
        ];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public void Step(Span<float> values, ReadOnlySpan<float> gradients, in OptimizerStep step)
    {
        if (_isBegun[0] == 0) values.CopyTo(_z);
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
                _second[i] = _second[i] * beta2 + g * g * (1 - beta2);
                var d = g / (MathF.Sqrt(_second[i]) / root + epsilon) + decay * values[i];
                values[i] += toZ * (_z[i] - values[i]);
                values[i] += along * d;
                _z[i] -= back * d;
            }
        }
    }

    public bool Average(ReadOnlySpan<float> values, Span<float> averages)
    {
        if (_isBegun[0] == 0) return false;
        var out_ = (float)(1 - 1 / _setup.Options.AdamBeta1);
        for (var i = 0; i < values.Length; i++) averages[i] = values[i] + out_ * (_z[i] - values[i]);
        return true;
    }
}
