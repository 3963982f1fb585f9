using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>
/// Muon as torch.optim.Muon: the momentum of a matrix is made orthogonal by five Newton-Schulz steps X = a X + (b A + c A A) X with A = X X^T, so each
/// update has full strength in every direction. The iteration is in float32, where torch's is in bfloat16. Vectors (DoRA's magnitudes, biases)
/// have no directions to balance: they take AdamW.
/// </summary>
internal sealed class Muon : IOptimizer
{
    public static readonly IReadOnlyList<ArgumentSpec> Arguments =
    [
        new("momentum", "0.95") { Maximum = 1 }, ArgumentSpec.Flag("nesterov", true), new("ns_steps", "5") { Minimum = 1, Maximum = 100 },
        new("adjust_lr_fn", "original") { Words = ["original", "match_rms_adamw", "spectral_unclamped"] },
    ];

    private const float A = 3.4445f, B = -4.775f, C = 2.0315f;
    // Elements, or terms of sums, that take some ten microseconds.
    private const long Grain = 1 << 14;
    private readonly OptimizerSetup _setup;
    private readonly IReadOnlyList<ParameterEntry> _matrices;
    private readonly LongArray<float> _momentum;
    private readonly AdamW? _vectors;

    /// <param name="setup">What is trained, and the run's options.</param>
    public Muon(OptimizerSetup setup)
    {
        _setup = setup;
        _matrices = [.. setup.Tensors.Where(tensor => tensor.Shape.Count == 2)];
        _momentum = new LongArray<float>(setup.Length);
        var rest = setup.Tensors.Where(tensor => tensor.Shape.Count != 2).ToList();
        if (rest.Count > 0)
            _vectors = new AdamW(setup with { Tensors = rest,
                Groups = [.. rest.Select(tensor => new ParameterGroup(tensor.Offset, tensor.Count, setup.Factor(tensor)))] });
        State = [.. StateTensor.Alike("momentum_buffer", _matrices, _momentum), .. _vectors?.State ?? []];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public static long StateBytes(Arguments arguments, long[] shape) => OptimizerKind.Count(shape) * (shape.Length == 2 ? 4 : 8);

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        _vectors?.Step(values, gradients, step);
        var momentum = (float)_setup.Arguments.Number("momentum");
        var (scale, nesterov) = ((float)step.GradientScale, _setup.Arguments.IsOn("nesterov"));
        foreach (var tensor in _matrices)
        {
            var (rows, columns) = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
            using var update = new LongArray<float>(tensor.Count);
            var offset = tensor.Offset;
            ComputeThreads.ForSpans(values.Slice(offset, tensor.Count), gradients.Slice(offset, tensor.Count), (part, slopes, at) =>
            {
                Span<float> u = update.All.Span(at, part.Length), buffer = _momentum.All.Span(offset + at, part.Length);
                for (var i = 0; i < part.Length; i++)
                {
                    var g = slopes[i] * scale;
                    buffer[i] += (1 - momentum) * (g - buffer[i]);
                    u[i] = nesterov ? g + momentum * (buffer[i] - g) : buffer[i];
                }
            });
            using var orthogonal = Orthogonal(update, rows, columns, (int)_setup.Arguments.Number("ns_steps"));
            var rate = step.LearningRate * _setup.Factor(tensor);
            var (keep, factor) = ((float)(1 - rate * _setup.Options.WeightDecay), (float)(rate * Adjusted(rows, columns)));
            ComputeThreads.ForSpans(values.Slice(offset, tensor.Count), orthogonal.All, (p, direction, _) =>
            {
                for (var i = 0; i < p.Length; i++) p[i] = p[i] * keep - factor * direction[i];
            });
        }
    }

    private double Adjusted(double rows, double columns) => _setup.Arguments.Word("adjust_lr_fn") switch
    {
        "match_rms_adamw" => 0.2 * Math.Sqrt(Math.Max(rows, columns)),
        "spectral_unclamped" => Math.Sqrt(rows / columns),
        _ => Math.Sqrt(Math.Max(1, rows / columns)),
    };

    /// <summary>The matrix with its singular values brought near 1, [rows, columns].</summary>
    private static LongArray<float> Orthogonal(LongArray<float> matrix, int rows, int columns, int steps)
    {
        var isTall = rows > columns;
        var (short_, long_) = isTall ? (columns, rows) : (rows, columns);
        var turned = isTall ? Transposed(matrix, rows, columns) : matrix.All.ToLongArray();
        var norm = (float)Math.Max(Math.Sqrt(SquareSum.Of(turned.All)), 1e-7);
        ComputeThreads.For(0, turned.Length, Grain, (begin, end) =>
        {
            var x = turned.All;
            for (var i = begin; i < end; i++) x[i] /= norm;
        });
        for (var step = 0; step < steps; step++)
        {
            using var gram = Products(turned, turned, short_, short_, long_);
            using var square = Products(gram, gram, short_, short_, short_);
            LongSpan<float> g = gram.All, gg = square.All;
            for (long i = 0; i < g.Length; i++) g[i] = B * g[i] + C * gg[i];
            // gram is symmetric, so its product with X takes the columns of X as rows.
            using var across = Transposed(turned, short_, long_);
            using var product = Products(gram, across, short_, long_, short_);
            ComputeThreads.For(0, turned.Length, Grain, (begin, end) =>
            {
                LongSpan<float> x = turned.All, mixed = product.All;
                for (var i = begin; i < end; i++) x[i] = A * x[i] + mixed[i];
            });
        }
        if (!isTall) return turned;
        using (turned) return Transposed(turned, columns, rows);
    }

    /// <summary>a b^T, with a [m, k] and b [n, k].</summary>
    private static LongArray<float> Products(LongArray<float> a, LongArray<float> b, int m, int n, int k)
    {
        var result = new LongArray<float>((long)m * n);
        ComputeThreads.For(0, (long)m * n, Math.Max(1, Grain / k), (begin, end) =>
        {
            LongSpan<float> left = a.All, right = b.All, products = result.All;
            for (var at = begin; at < end; at++)
            {
                ReadOnlySpan<float> row = left.Span(at / n * k, k), column = right.Span(at % n * k, k);
                double sum = 0;
                for (var t = 0; t < row.Length; t++) sum += (double)row[t] * column[t];
                products[at] = (float)sum;
            }
        });
        return result;
    }

    private static LongArray<float> Transposed(LongArray<float> matrix, int rows, int columns)
    {
        var result = new LongArray<float>(matrix.Length);
        ComputeThreads.For(0, columns, Math.Max(1, Grain / rows), (begin, end) =>
        {
            LongSpan<float> values = matrix.All, turned = result.All;
            for (long r = 0; r < rows; r++)
                for (var c = begin; c < end; c++) turned[c * rows + r] = values[r * columns + c];
        });
        return result;
    }
}
