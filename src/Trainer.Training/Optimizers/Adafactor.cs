using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

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
        new("clip_threshold", "1"), new("decay_rate", "-0.8") { Minimum = -10, Maximum = 0 }, new("eps1", "1e-30"), new("eps2", "1e-3"),
        new("beta1", null) { Maximum = 1 },
    ];

    // Elements whose step takes some ten microseconds.
    private const long Grain = 1 << 14;

    private readonly OptimizerSetup _setup;
    private readonly List<TensorState> _states;

    /// <param name="setup">What is trained, and the run's options.</param>
    /// <exception cref="OptionException">A warm-up without relative steps.</exception>
    public Adafactor(OptimizerSetup setup)
    {
        _setup = setup;
        if (setup.Arguments.IsOn("warmup_init") && !setup.Arguments.IsOn("relative_step"))
            throw new OptionException("--optim-args: warmup_init needs relative_step=true");
        _states = [.. setup.Tensors.Select(tensor => new TensorState(tensor, setup.Arguments.Optional("beta1") is not null))];
        State = [.. _states.SelectMany(state => state.Named)];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public void Dispose() => _states.ForEach(state => state.Dispose());

    public static long StateBytes(Arguments arguments, long[] shape) =>
        4 * ((shape.Length == 2 ? shape[0] + shape[1] : OptimizerKind.Count(shape)) + (arguments.Optional("beta1") is null ? 0 : OptimizerKind.Count(shape)));

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        var arguments = _setup.Arguments;
        var (scale, decay) = ((float)step.GradientScale, _setup.Options.WeightDecay);
        var beta2 = 1 - Math.Pow(step.Number, arguments.Number("decay_rate"));
        foreach (var state in _states)
        {
            var (begin, count) = (state.Tensor.Offset, state.Tensor.Count);
            var p = values.Slice(begin, count);
            var g = gradients.Slice(begin, count);
            using var update = new LongArray<float>(count);
            ComputeThreads.ForSpans(update.All, g, (u, slopes, _) =>
            {
                for (var i = 0; i < u.Length; i++) u[i] = slopes[i] * scale;
            });
            state.Normalize(update, (float)beta2, (float)arguments.Number("eps1"));
            var rate = Rate(arguments, step) * _setup.Factor(state.Tensor) * (arguments.IsOn("scale_parameter")
                ? Math.Max(arguments.Number("eps2"), Rms(p)) : 1);
            var shrink = (float)(rate / Math.Max(1, Rms(update.All) / arguments.Number("clip_threshold")));
            var (keep, beta1) = ((float)(1 - decay * rate), arguments.Optional("beta1"));
            ComputeThreads.ForSpans(p, update.All, (target, _, at) =>
            {
                var u = update.All.Span(at, target.Length);
                for (var i = 0; i < u.Length; i++) u[i] *= shrink;
                if (beta1 is { } share) state.Average(u, at, (float)share);
                for (var i = 0; i < u.Length; i++) target[i] = target[i] * keep - u[i];
            });
        }
    }

    private static double Rate(Arguments arguments, in OptimizerStep step)
    {
        if (!arguments.IsOn("relative_step")) return step.LearningRate;
        return Math.Min(arguments.IsOn("warmup_init") ? 1e-6 * step.Number : 1e-2, 1 / Math.Sqrt(step.Number));
    }

    private static double Rms(ReadOnlyLongSpan<float> values) => Math.Sqrt(SquareSum.Of(values) / values.Length);

    private sealed class TensorState : IDisposable
    {
        private readonly LongArray<float> _rows;
        private readonly LongArray<float> _columns;
        private readonly LongArray<float> _average;
        private readonly bool _isMatrix;

        public TensorState(ParameterEntry tensor, bool averages)
        {
            Tensor = tensor;
            _isMatrix = tensor.Shape.Count == 2;
            _rows = new LongArray<float>(_isMatrix ? tensor.Shape[0] : tensor.Count);
            _columns = new LongArray<float>(_isMatrix ? tensor.Shape[1] : 0);
            _average = new LongArray<float>(averages ? tensor.Count : 0);
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
        public void Normalize(LongArray<float> update, float beta2, float epsilon)
        {
            if (!_isMatrix)
            {
                ComputeThreads.For(0, Tensor.Count, Grain, (begin, end) =>
                {
                    LongSpan<float> means = _rows.All, u = update.All;
                    for (var i = begin; i < end; i++)
                    {
                        means[i] = means[i] * beta2 + (u[i] * u[i] + epsilon) * (1 - beta2);
                        u[i] /= MathF.Sqrt(means[i]);
                    }
                });
                return;
            }
            var (rows, columns) = (_rows.Length, _columns.Length);
            ComputeThreads.For(0, rows, Math.Max(1, Grain / columns), (begin, end) =>
            {
                LongSpan<float> means = _rows.All, u = update.All;
                for (var r = begin; r < end; r++)
                {
                    double sum = 0;
                    for (long c = 0; c < columns; c++) sum += Square(u[r * columns + c], epsilon);
                    means[r] = means[r] * beta2 + (float)(sum / columns) * (1 - beta2);
                }
            });
            // Columns are split among threads, so each sum has one owner and one order.
            ComputeThreads.For(0, columns, Math.Max(16, Grain / rows), (begin, end) =>
            {
                LongSpan<float> means = _columns.All, u = update.All;
                var sums = new double[end - begin];
                for (long r = 0; r < rows; r++)
                    for (var c = begin; c < end; c++) sums[c - begin] += Square(u[r * columns + c], epsilon);
                for (var c = begin; c < end; c++) means[c] = means[c] * beta2 + (float)(sums[c - begin] / rows) * (1 - beta2);
            });
            double all = 0;
            for (long r = 0; r < rows; r++) all += _rows[r];
            var mean = (float)(all / rows);
            ComputeThreads.For(0, rows, Math.Max(1, Grain / columns), (begin, end) =>
            {
                LongSpan<float> means = _rows.All, columnMeans = _columns.All, u = update.All;
                for (var r = begin; r < end; r++)
                {
                    var byRow = 1 / MathF.Sqrt(means[r] / mean);
                    for (long c = 0; c < columns; c++) u[r * columns + c] *= byRow / MathF.Sqrt(columnMeans[c]);
                }
            });
        }

        private static float Square(float value, float epsilon) => value * value + epsilon;

        public void Dispose()
        {
            _rows.Dispose();
            _columns.Dispose();
            _average.Dispose();
        }

        /// <summary>Replaces updates by their running mean.</summary>
        /// <param name="u">Updates of a part of the tensor.</param>
        /// <param name="begin">The part's first element.</param>
        /// <param name="beta1">What the mean keeps.</param>
        public void Average(Span<float> u, long begin, float beta1)
        {
            var average = _average.All.Span(begin, u.Length);
            for (var i = 0; i < u.Length; i++) u[i] = average[i] = average[i] * beta1 + u[i] * (1 - beta1);
        }
    }
}
