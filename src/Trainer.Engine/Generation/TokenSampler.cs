using Trainer.Numerics.Draws;

namespace Trainer.Engine.Generation;

/// <summary>Chooses a token from logits. The same seed and logits give the same tokens.</summary>
public sealed class TokenSampler
{
    private readonly SamplingOptions _options;
    private readonly double[] _weights;
    private ulong _draws;

    /// <summary>Makes a sampler.</summary>
    /// <param name="options">How to choose.</param>
    /// <param name="vocabularySize">Length of the logits.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value outside its range, by name.</exception>
    public TokenSampler(SamplingOptions options, int vocabularySize)
    {
        Check(options.Temperature >= 0, "temperature", options.Temperature, "at least 0");
        Check(options.TopK >= 0, "top-k", options.TopK, "at least 0");
        Check(options.TopP is > 0 and <= 1, "top-p", options.TopP, "above 0 and at most 1");
        Check(options.MinP is >= 0 and < 1, "min-p", options.MinP, "at least 0 and below 1");
        Check(options.RepetitionPenalty > 0, "repetition-penalty", options.RepetitionPenalty, "above 0");
        _options = options;
        _weights = new double[vocabularySize];
    }

    /// <summary>The next token.</summary>
    /// <param name="logits">One logit for each id; overwritten.</param>
    /// <param name="seen">Ids of prompt and text so far.</param>
    public int Next(Span<float> logits, IReadOnlyCollection<int> seen)
    {
        if (_options.RepetitionPenalty != 1)
        {
            var penalty = (float)_options.RepetitionPenalty;
            foreach (var id in seen.Distinct()) logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
        }
        return _options.Temperature == 0 ? Likeliest(logits) : Draw(logits);
    }

    private static int Likeliest(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
            if (logits[i] > logits[best]) best = i;
        return best;
    }

    private int Draw(ReadOnlySpan<float> logits)
    {
        var total = Weigh(logits);
        if (_options is { TopK: 0, TopP: 1, MinP: 0 }) return Pick(null, _weights.Length, total);
        var ids = Candidates(logits, total);
        var kept = _options.TopK > 0 ? Math.Min(_options.TopK, ids.Length) : ids.Length;
        // Where top-k does not cut, the share is one of all tokens, not of the candidates alone.
        if (_options.TopK > 0) total = Sum(ids, kept);
        if (_options.TopP < 1)
        {
            double sum = 0;
            var count = 0;
            while (count < kept && sum < _options.TopP * total) sum += _weights[ids[count++]];
            kept = Math.Max(1, count);
        }
        // The likeliest token's weight is 1, so a weight is a share of it.
        while (kept > 1 && _weights[ids[kept - 1]] < _options.MinP) kept--;
        return Pick(ids, kept, Sum(ids, kept));
    }

    // exp((logit - largest) / temperature) of every token; returns their sum.
    private double Weigh(ReadOnlySpan<float> logits)
    {
        var largest = logits[Likeliest(logits)];
        double total = 0;
        for (var i = 0; i < logits.Length; i++) total += _weights[i] = Math.Exp((logits[i] - (double)largest) / _options.Temperature);
        return total;
    }

    // The likeliest tokens in order, as many as the limits can keep: a vocabulary has a hundred thousand, of which few matter, and sorting all takes longer
    // than a small model.
    private int[] Candidates(ReadOnlySpan<float> logits, double total)
    {
        for (var least = 1.0 / 1024; ; least = least > 1e-18 ? least / 1024 : 0)
        {
            var (count, sum) = (0, 0.0);
            foreach (var weight in _weights)
            {
                if (weight < least) continue;
                count++;
                sum += weight;
            }
            var enough = _options.TopK > 0 ? count >= _options.TopK : sum >= _options.TopP * total && _options.TopP < 1;
            if (!enough && least > _options.MinP) continue;
            var (ids, keys, at) = (new int[count], new float[count], 0);
            for (var i = 0; i < _weights.Length; i++)
            {
                if (_weights[i] < least) continue;
                (ids[at], keys[at]) = (i, logits[i]);
                at++;
            }
            // Likeliest first; equal logits by id, so that the order is the same everywhere.
            var order = new int[count];
            for (var i = 0; i < count; i++) order[i] = i;
            Array.Sort(order, (a, b) => keys[b].CompareTo(keys[a]) is not 0 and var byLogit ? byLogit : ids[a].CompareTo(ids[b]));
            return Array.ConvertAll(order, i => ids[i]);
        }
    }

    private double Sum(int[] ids, int kept)
    {
        double sum = 0;
        for (var i = 0; i < kept; i++) sum += _weights[ids[i]];
        return sum;
    }

    // Draws among the first ids, or, without any, among all tokens.
    private int Pick(int[]? ids, int kept, double total)
    {
        var at = Unit() * total;
        for (var i = 0; i < kept; i++)
        {
            var id = ids is null ? i : ids[i];
            at -= _weights[id];
            if (at < 0) return id;
        }
        // Rounding left a crumb behind the last token.
        return ids is null ? Array.FindLastIndex(_weights, weight => weight > 0) : ids[kept - 1];
    }

    private double Unit() => SplitMix64.Unit(SplitMix64.Mix(SplitMix64.Mix((ulong)_options.Seed) + _draws++));

    private static void Check(bool holds, string name, double value, string range)
    {
        if (!holds) throw new ArgumentOutOfRangeException(name, $"--{name} {value} must be {range}");
    }
}
