using Trainer.Engine.Layers.Experts;

namespace Trainer.Engine.Fast.Experts;

/// <summary>The balancing term of all routers of a pass, see <see cref="RouterBalance"/>: counted on the way forward, its gradient known before the way
/// back.</summary>
/// <param name="coefficient">Multiplier of the term in the loss.</param>
/// <param name="weight">Its weight beside the token losses.</param>
/// <param name="experts">Experts of a layer.</param>
internal sealed class FastBalance(double coefficient, double weight, int experts)
{
    private readonly double[] _chosen = new double[experts], _sums = new double[experts];
    private long _decisions;

    /// <summary>Whether the pass is on its way forward: what is computed again is not counted again.</summary>
    public bool IsCounting { get; private set; } = true;

    /// <summary>The term as it is added to the sum of token losses.</summary>
    public double Value => _decisions == 0 ? 0 : Factor * Enumerable.Range(0, experts).Sum(e => _chosen[e] * _sums[e]);

    private double Factor => coefficient * weight * experts / ((double)_decisions * _decisions);

    /// <summary>A router's scores (rows, experts) and choices (rows, chosen).</summary>
    public void Count(ReadOnlySpan<float> scores, ReadOnlySpan<int> choice)
    {
        for (var i = 0; i < scores.Length; i++) _sums[i % experts] += scores[i];
        foreach (var expert in choice) _chosen[expert]++;
        _decisions += scores.Length / experts;
    }

    /// <summary>Ends the counting: the gradient of each score, the same in every row, times <paramref name="scale"/>.</summary>
    public float[] Gradient(double scale)
    {
        IsCounting = false;
        return [.. _chosen.Select(count => (float)(_decisions == 0 ? 0 : Factor * count * scale))];
    }
}
