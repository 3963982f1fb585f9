using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>
/// Schedule-free AdamW and SGD (arXiv 2405.15682), as facebookresearch/schedule_free. With d = g / (sqrt(v / (1 - beta2^t)) + eps) + decay y, for SGD
/// g + decay y, and c = w / sum of w: y += c (z - y) + rate (beta (1 - c) - 1) d; z -= rate d. Beta is --adam-beta1, for SGD its momentum. The values in
/// training are y; what is evaluated and saved is the average x = y + (1 - 1 / beta) (z - y).
/// </summary>
internal sealed class ScheduleFree : IOptimizer
{
    /// <summary>What the AdamW form takes.</summary>
    public static readonly IReadOnlyList<ArgumentSpec> OfAdamW = [new("warmup_steps", "0"), new("r", "0"), new("weight_lr_power", "2")];

    /// <summary>What the SGD form takes.</summary>
    public static readonly IReadOnlyList<ArgumentSpec> OfSgd = [new("momentum", "0.9") { Maximum = 1 }, .. OfAdamW];

    private readonly OptimizerSetup _setup;
    private readonly double _beta;
    private readonly LongArray<float> _z;
    private readonly LongArray<float>? _second;
    private readonly LongArray<double> _weightSum;
    private readonly LongArray<double> _highestRate;
    private readonly LongArray<double> _isBegun = new(1);

    /// <param name="setup">What is trained, and the run's options.</param>
    /// <param name="isAdam">Whether steps are those of AdamW; else of SGD.</param>
    public ScheduleFree(OptimizerSetup setup, bool isAdam)
    {
        (_setup, _beta) = (setup, isAdam ? setup.Options.AdamBeta1 : setup.Arguments.Number("momentum"));
        if (_beta <= 0)
            throw new OptionException($"--optim {setup.Options.Optim} averages with {(isAdam ? "--adam-beta1" : "its momentum")}: it must be above 0");
        _z = new LongArray<float>(setup.Length);
        if (isAdam) _second = new LongArray<float>(setup.Length);
        (_weightSum, _highestRate) = (new LongArray<double>(setup.Groups.Count), new LongArray<double>(setup.Groups.Count));
        State =
        [
            .. StateTensor.Alike("z", setup.Tensors, _z), .. _second is null ? [] : StateTensor.Alike("exp_avg_sq", setup.Tensors, _second),
            StateTensor.Of("weight_sum", _weightSum), StateTensor.Of("lr_max", _highestRate), StateTensor.Of("begun", _isBegun),
        ];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        if (_isBegun[0] == 0)
            foreach (var tensor in _setup.Tensors) values.Slice(tensor.Offset, tensor.Count).CopyTo(_z.All.Slice(tensor.Offset, tensor.Count));
        _isBegun[0] = 1;
        var (options, arguments) = (_setup.Options, _setup.Arguments);
        var (scale, beta2, decay) = ((float)step.GradientScale, (float)options.AdamBeta2, (float)options.WeightDecay);
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
            var (toZ, along, back) = ((float)mix, (float)(rate * (_beta * (1 - mix) - 1)), (float)rate);
            var first = group.Begin;
            ComputeThreads.ForSpans(values.Slice(first, group.Count), gradients.Slice(first, group.Count), (part, slopes, at) =>
            {
                Span<float> z = _z.All.Span(first + at, part.Length), second = _second is null ? [] : _second.All.Span(first + at, part.Length);
                for (var i = 0; i < part.Length; i++)
                {
                    var g = slopes[i] * scale;
                    if (second.Length > 0)
                    {
                        second[i] = second[i] * beta2 + g * g * (1 - beta2);
                        g /= MathF.Sqrt(second[i]) / root + epsilon;
                    }
                    var d = g + decay * part[i];
                    part[i] += toZ * (z[i] - part[i]);
                    part[i] += along * d;
                    z[i] -= back * d;
                }
            });
        }
    }

    public bool HasAverages => _isBegun[0] != 0;

    public void Average(ReadOnlyLongSpan<float> values, LongSpan<float> averages)
    {
        var (z, out_) = (_z, (float)(1 - 1 / _beta));
        foreach (var tensor in _setup.Tensors)
            for (var i = tensor.Offset; i < tensor.Offset + tensor.Count; i++) averages[i] = values[i] + out_ * (z[i] - values[i]);
    }
}
