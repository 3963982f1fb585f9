using Trainer.Engine;

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
    private readonly OptimizerSetup _setup;
    private readonly IReadOnlyList<ParameterEntry> _matrices;
    private readonly float[] _momentum;
    private readonly AdamW? _vectors;

    /// <param name="setup">What is trained, and the run's options.</param>
    public Muon(OptimizerSetup setup)
    {
        _setup = setup;
        _matrices = [.. setup.Tensors.Where(tensor => tensor.Shape.Count == 2)];
        _momentum = new float[setup.Length];
        var rest = setup.Tensors.Where(tensor => tensor.Shape.Count != 2).ToList();
        if (rest.Count > 0)
            _vectors = new AdamW(setup with { Tensors = rest, Groups = [.. rest.Select(tensor => new ParameterGroup((int)tensor.Offset, (int)tensor.Count, setup.Factor(tensor)))] });
        State = [.. StateTensor.Alike("momentum_buffer", _matrices, _momentum), .. _vectors?.State ?? []];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public static long StateBytes(Arguments arguments, long[] shape) => OptimizerKind.Count(shape) * (shape.Length == 2 ? 4 : 8);

    public void Step(Span<float> values, ReadOnlySpan<float> gradients, in OptimizerStep step)
    {
        _vectors?.Step(values, gradients, step);
        var momentum = (float)_setup.Arguments.Number("momentum");
        var (scale, nesterov) = ((float)step.GradientScale, _setup.Arguments.IsOn("nesterov"));
        foreach (var tensor in _matrices)
        {
            var (rows, columns) = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
            var update = new float[tensor.Count];
            for (var i = 0; i < update.Length; i++)
            {
                var at = (int)tensor.Offset + i;
                var g = gradients[at] * scale;
                _momentum[at] += (1 - momentum) * (g - _momentum[at]);
                update[i] = nesterov ? g + momentum * (_momentum[at] - g) : _momentum[at];
            }
            var direction = Orthogonal(update, rows, columns, (int)_setup.Arguments.Number("ns_steps"));
            var rate = step.LearningRate * _setup.Factor(tensor);
            var (keep, factor) = ((float)(1 - rate * _setup.Options.WeightDecay), (float)(rate * Adjusted(rows, columns)));
            var p = values.Slice((int)tensor.Offset, (int)tensor.Count);
            for (var i = 0; i < p.Length; i++) p[i] = p[i] * keep - factor * direction[i];
        }
    }

    private double Adjusted(double rows, double columns) => _setup.Arguments.Word("adjust_lr_fn") switch
    {
        "match_rms_adamw" => 0.2 * Math.Sqrt(Math.Max(rows, columns)),
        "spectral_unclamped" => Math.Sqrt(rows / columns),
        _ => Math.Sqrt(Math.Max(1, rows / columns)),
    };

    /// <summary>The matrix with its singular values brought near 1, [rows, columns].</summary>
    private static float[] Orthogonal(float[] matrix, int rows, int columns, int steps)
    {
        var isTall = rows > columns;
        var (short_, long_) = isTall ? (columns, rows) : (rows, columns);
        var x = isTall ? Transposed(matrix, rows, columns) : [.. matrix];
        double squares = 0;
        foreach (var value in x) squares += (double)value * value;
        var norm = (float)Math.Max(Math.Sqrt(squares), 1e-7);
        for (var i = 0; i < x.Length; i++) x[i] /= norm;
        for (var step = 0; step < steps; step++)
        {
            var gram = Products(x, x, short_, short_, long_);
            var square = Products(gram, gram, short_, short_, short_);
            for (var i = 0; i < gram.Length; i++) gram[i] = B * gram[i] + C * square[i];
            // gram is symmetric, so its product with X takes the columns of X as rows.
            var mixed = Products(gram, Transposed(x, short_, long_), short_, long_, short_);
            for (var i = 0; i < x.Length; i++) x[i] = A * x[i] + mixed[i];
        }
        return isTall ? Transposed(x, columns, rows) : x;
    }

    /// <summary>a b^T, with a [m, k] and b [n, k].</summary>
    private static float[] Products(float[] a, float[] b, int m, int n, int k)
    {
        var result = new float[m * n];
        for (var i = 0; i < m; i++)
        {
            for (var j = 0; j < n; j++)
            {
                double sum = 0;
                for (var t = 0; t < k; t++) sum += (double)a[i * k + t] * b[j * k + t];
                result[i * n + j] = (float)sum;
            }
        }
        return result;
    }

    private static float[] Transposed(float[] matrix, int rows, int columns)
    {
        var result = new float[matrix.Length];
        for (var r = 0; r < rows; r++)
            for (var c = 0; c < columns; c++) result[c * rows + r] = matrix[r * columns + c];
        return result;
    }
}
