using Trainer.Engine;

namespace Trainer.Training.Optimizers;

/// <summary>
/// Adafactor (arXiv 1804.04235) as transformers.optimization.Adafactor. A matrix keeps the running means of its squared gradients by row R and by
/// column C alone: u = g / sqrt(R / mean R) / sqrt(C); a vector keeps them all. u is divided by max(1, rms(u) / clip), and p -= rate u.
/// </summary>
internal sealed class Adafactor : IOptimizer
{
    public static readonly IReadOnlyList<ArgumentSpec> Arguments =
    [
        ArgumentSpec.Flag("scale_parameter", false), ArgumentSpec.Flag("relative_step", false), ArgumentSpec.Flag("warmup_init", false),
        new("clip_threshold", "1"), new("decay_rate", "-0.8") { Minimum = -10, Maximum = 0 }, new("eps1", "1e-30"), new("eps2", "1e-3"), new("beta1", null) { Maximum = 1 },
    ];

    private readonly OptimizerSetup _setup;
    private readonly List<TensorState> _states;
    private float[] _update = [];

    /// <param name="setup">What is trained, and the run's options.</param>
    /// <exception cref="OptionException">A warm-up without relative steps.</exception>
    public Adafactor(OptimizerSetup setup)
    {
        _setup = setup;
        if (setup.Arguments.IsOn("warmup_init") && !setup.Arguments.IsOn("relative_step")) throw new OptionException("--optim-args: warmup_init needs relative_step=true");
        _states = [.. setup.Tensors.Select(tensor => new TensorState(tensor, setup.Arguments.Optional("beta1") is not null))];
        State = [.. _states.SelectMany(state => state.Named)];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public static long StateBytes(Arguments arguments, long[] shape) =>
        4 * ((shape.Length == 2 ? shape[0] + shape[1] : OptimizerKind.Count(shape)) + (arguments.Optional("beta1") is null ? 0 : OptimizerKind.Count(shape)));

    public void Step(Span<float> values, ReadOnlySpan<float> gradients, in OptimizerStep step)
    {
        var arguments = _setup.Arguments;
        var (scale, decay) = ((float)step.GradientScale, _setup.Options.WeightDecay);
        var beta2 = 1 - Math.Pow(step.Number, arguments.Number("decay_rate"));
        foreach (var state in _states)
        {
            var p = values.Slice((int)state.Tensor.Offset, (int)state.Tensor.Count);
            if (_update.Length < p.Length) _update = new float[p.Length];
            var u = _update.AsSpan(0, p.Length);
            for (var i = 0; i < u.Length; i++) u[i] = gradients[(int)state.Tensor.Offset + i] * scale;
            state.Normalize(u, (float)beta2, (float)arguments.Number("eps1"));
            var rate = Rate(arguments, step) * _setup.Factor(state.Tensor) * (arguments.IsOn("scale_parameter") ? Math.Max(arguments.Number("eps2"), Rms(p)) : 1);
            var shrink = (float)(rate / Math.Max(1, Rms(u) / arguments.Number("clip_threshold")));
            for (var i = 0; i < u.Length; i++) u[i] *= shrink;
            if (arguments.Optional("beta1") is { } beta1) state.Average(u, (float)beta1);
            var keep = (float)(1 - decay * rate);
            for (var i = 0; i < p.Length; i++) p[i] = p[i] * keep - u[i];
        }
    }

    private static double Rate(Arguments arguments, in OptimizerStep step)
    {
        if (!arguments.IsOn("relative_step")) return step.LearningRate;
        return Math.Min(arguments.IsOn("warmup_init") ? 1e-6 * step.Number : 1e-2, 1 / Math.Sqrt(step.Number));
    }

    private static double Rms(ReadOnlySpan<float> values)
    {
        double sum = 0;
        foreach (var value in values) sum += (double)value * value;
        return Math.Sqrt(sum / values.Length);
    }

    private sealed class TensorState
    {
        private readonly float[] _rows;
        private readonly float[] _columns;
        private readonly float[] _average;
        private readonly bool _isMatrix;

        public TensorState(ParameterEntry tensor, bool averages)
        {
            Tensor = tensor;
            _isMatrix = tensor.Shape.Count == 2;
            _rows = new float[_isMatrix ? tensor.Shape[0] : tensor.Count];
            _columns = new float[_isMatrix ? tensor.Shape[1] : 0];
            _average = new float[averages ? tensor.Count : 0];
            Named =
            [
                StateTensor.Of(_isMatrix ? $"exp_avg_sq_row.{tensor.Name}" : $"exp_avg_sq.{tensor.Name}", _rows),
                .. _isMatrix ? [StateTensor.Of($"exp_avg_sq_col.{tensor.Name}", _columns)] : Array.Empty<StateTensor>(),
                .. averages ? [StateTensor.Of($"exp_avg.{tensor.Name}", _average)] : Array.Empty<StateTensor>(),
            ];
        }

        public ParameterEntry Tensor { get; }

        public IReadOnlyList<StateTensor> Named { get; }

        /// <summary>Gradients in, gradients over the root of their running squares out.</summary>
        public void Normalize(Span<float> u, float beta2, float epsilon)
        {
            if (!_isMatrix)
            {
                for (var i = 0; i < u.Length; i++)
                {
                    _rows[i] = _rows[i] * beta2 + (u[i] * u[i] + epsilon) * (1 - beta2);
                    u[i] /= MathF.Sqrt(_rows[i]);
                }
                return;
            }
            var columns = _columns.Length;
            var columnSums = new double[columns];
            double all = 0;
            for (var r = 0; r < _rows.Length; r++)
            {
                double sum = 0;
                for (var c = 0; c < columns; c++)
                {
                    var square = u[r * columns + c] * u[r * columns + c] + epsilon;
                    sum += square;
                    columnSums[c] += square;
                }
                _rows[r] = _rows[r] * beta2 + (float)(sum / columns) * (1 - beta2);
                all += _rows[r];
            }
            for (var c = 0; c < columns; c++) _columns[c] = _columns[c] * beta2 + (float)(columnSums[c] / _rows.Length) * (1 - beta2);
            var mean = (float)(all / _rows.Length);
            for (var r = 0; r < _rows.Length; r++)
            {
                var byRow = 1 / MathF.Sqrt(_rows[r] / mean);
                for (var c = 0; c < columns; c++) u[r * columns + c] *= byRow / MathF.Sqrt(_columns[c]);
            }
        }

        /// <summary>Replaces updates by their running mean.</summary>
        public void Average(Span<float> u, float beta1)
        {
            for (var i = 0; i < u.Length; i++) u[i] = _average[i] = _average[i] * beta1 + u[i] * (1 - beta1);
        }
    }
}
