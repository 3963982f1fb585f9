using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Adapters;

/// <summary>
/// The principal directions of rows that come a few at a time (incremental PCA, Ross et al. 2008): what is known of the rows so far, S V^T of their
/// centred matrix, is stacked on the new rows and decomposed again. It is exact where as many directions are kept as rows have columns; beyond that
/// the weakest are given up. In double precision, through the smaller of the two Gram matrices.
/// </summary>
/// <param name="width">Columns.</param>
/// <param name="kept">Directions that are kept.</param>
internal sealed class PrincipalDirections(int width, int kept) : IDisposable
{
    // A decomposition costs the cube of its rows.
    private const int RowsAtOnce = 256;

    private readonly int _kept = Math.Min(kept, width);
    private Tensor _known = zeros(0, width, dtype: ScalarType.Float64);
    private Tensor _mean = zeros(width, dtype: ScalarType.Float64);
    private double _variance;
    private long _count;

    /// <summary>Adds rows [n, width].</summary>
    public void Add(Tensor rows)
    {
        using var scope = NewDisposeScope();
        var all = rows.to(ScalarType.Float64).cpu();
        for (long begin = 0; begin < all.shape[0]; begin += RowsAtOnce) AddPart(all.narrow(0, begin, Math.Min(RowsAtOnce, all.shape[0] - begin)));
    }

    /// <summary>The strongest directions [count, width], of length 1; fewer where fewer are known.</summary>
    public Tensor Directions(int count)
    {
        using var scope = NewDisposeScope();
        var first = _known.narrow(0, 0, Math.Min(count, _known.shape[0]));
        return (first / first.norm(1, keepdim: true).clamp_min(double.Epsilon)).MoveToOuterDisposeScope();
    }

    /// <summary>The share of the rows' variance that each of the strongest directions explains.</summary>
    public double[] Shares(int count)
    {
        using var scope = NewDisposeScope();
        if (_known.shape[0] == 0 || _variance == 0) return [];
        return [.. (_known.narrow(0, 0, Math.Min(count, _known.shape[0])).square().sum(1) / _variance).data<double>()];
    }

    public void Dispose()
    {
        _known.Dispose();
        _mean.Dispose();
    }

    private void AddPart(Tensor rows)
    {
        using var scope = NewDisposeScope();
        var (n, mean) = (rows.shape[0], rows.mean([0]));
        var total = _count + n;
        var centred = rows - mean;
        // What the means' distance adds.
        var shift = (_mean - mean).unsqueeze(0) * Math.Sqrt((double)_count * n / total);
        _variance += centred.square().sum().item<double>() + shift.square().sum().item<double>();
        var next = Decomposed(cat([_known, centred, shift], 0)).MoveToOuterDisposeScope();
        var nextMean = ((_mean * _count + mean * n) / total).MoveToOuterDisposeScope();
        Dispose();
        (_known, _mean, _count) = (next.DetachFromDisposeScope(), nextMean.DetachFromDisposeScope(), total);
    }

    // S V^T of a matrix, the strongest rows first.
    private Tensor Decomposed(Tensor matrix)
    {
        var (rows, columns) = (matrix.shape[0], matrix.shape[1]);
        var isWide = rows < columns;
        var (values, vectors) = linalg.eigh(isWide ? matrix.mm(matrix.t()) : matrix.t().mm(matrix));
        var count = Math.Min(_kept, (int)Math.Min(rows, columns));
        var strongest = vectors.flip(1).narrow(1, 0, count).t();
        return isWide ? strongest.mm(matrix) : strongest * values.flip(0).narrow(0, 0, count).clamp_min(0).sqrt().unsqueeze(1);
    }
}
