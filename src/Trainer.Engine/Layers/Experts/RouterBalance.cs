using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Experts;

/// <summary>
/// The term that asks routers to use their experts alike (Switch Transformer, arXiv 2101.03961, as transformers computes it over the tokens of all layers
/// together):
/// aux = E x sum over experts of f_e x P_e, where f_e is how many of the N router decisions chose expert e, divided by N, and P_e is the mean of its
/// probability. f carries no gradient.
/// </summary>
/// <remarks>
/// All decisions must be counted before any layer's gradient is known. Where layers are computed again one by one, each brings its part of the sum as a second
/// output.
/// </remarks>
internal sealed class RouterBalance(double coefficient, double weight) : IDisposable
{
    private readonly List<Tensor> _sums = [];
    private double[]? _chosen;
    private long _decisions;
    private Tensor? _term;

    /// <summary>Whether parts are now brought for backward passes.</summary>
    public bool IsReplay { get; private set; }

    /// <summary>A router's probabilities [T, E] and choices [T, k].</summary>
    public void Add(Tensor probabilities, Tensor indices)
    {
        if (IsReplay)
        {
            // A router whose input nothing trained reaches has no gradient.
            if (probabilities.requires_grad) _term = Part(probabilities.sum(dim: 0));
            return;
        }
        _chosen ??= new double[probabilities.shape[1]];
        using var chosen = indices.cpu().contiguous();
        foreach (var expert in chosen.data<long>()) _chosen[expert]++;
        _decisions += probabilities.shape[0];
        _sums.Add(probabilities.sum(dim: 0).DetachFromDisposeScope());
    }

    /// <summary>The term as it is added to the sum of token losses: coefficient x weight x aux. 0 where no router was asked.</summary>
    public double Value()
    {
        if (_chosen is null) return 0;
        double sum = 0;
        foreach (var part in _sums)
        {
            using var values = part.detach().cpu();
            var probabilities = values.data<float>();
            for (var e = 0; e < _chosen.Length; e++) sum += _chosen[e] * probabilities[e];
        }
        return coefficient * weight * _chosen.Length * sum / ((double)_decisions * _decisions);
    }

    /// <summary>The term as a graph over all layers, times <paramref name="scale"/>; null where no gradient flows through it.</summary>
    public Tensor? Graph(double scale)
    {
        Tensor? sum = null;
        foreach (var part in _sums.Where(part => part.requires_grad)) sum = sum is null ? Part(part) : sum + Part(part);
        return sum is null ? null : sum * (coefficient * weight * scale);
    }

    /// <summary>From now on layers are computed again.</summary>
    public void Replay() => IsReplay = true;

    /// <summary>The part of the layer that was computed again last, times <paramref name="scale"/>, or null; it is given once.</summary>
    public Tensor? TakePart(double scale)
    {
        var term = _term;
        _term = null;
        return term is null ? null : term * (coefficient * weight * scale);
    }

    public void Dispose()
    {
        foreach (var sum in _sums) sum.Dispose();
    }

    private Tensor Part(Tensor sum)
    {
        var factor = _chosen!.Length / ((double)_decisions * _decisions);
        return (sum * tensor(_chosen.Select(count => (float)(count * factor)).ToArray(), device: sum.device)).sum();
    }
}
