namespace Trainer.Models;

/// <summary>Chooses a token from logits. The same seed and logits give the same tokens.</summary>
public sealed class TokenSampler
{
    private readonly SamplingOptions _options;
    private readonly int[] _order;
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
        _order = new int[vocabularySize];
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
        // Likeliest first; equal logits by id, so that the order is the same everywhere.
        var all = logits.ToArray();
        for (var i = 0; i < _order.Length; i++) _order[i] = i;
        Array.Sort(_order, (a, b) => all[b].CompareTo(all[a]) is not 0 and var byLogit ? byLogit : a.CompareTo(b));
        var keys = new double[all.Length];
        for (var i = 0; i < keys.Length; i++) keys[i] = -all[_order[i]] / _options.Temperature;
        var kept = _options.TopK > 0 ? Math.Min(_options.TopK, keys.Length) : keys.Length;
        var weights = new double[kept];
        double total = 0;
        for (var i = 0; i < kept; i++) total += weights[i] = Math.Exp(keys[0] - keys[i]);
        if (_options.TopP < 1)
        {
            double sum = 0;
            var count = 0;
            while (count < kept && sum < _options.TopP * total) sum += weights[count++];
            kept = Math.Max(1, count);
        }
        // weights[0] is 1, so a weight is the share of the likeliest token.
        while (kept > 1 && weights[kept - 1] < _options.MinP) kept--;
        total = 0;
        for (var i = 0; i < kept; i++) total += weights[i];
        var at = Unit() * total;
        for (var i = 0; i < kept; i++)
        {
            at -= weights[i];
            if (at < 0) return _order[i];
        }
        return _order[kept - 1];
    }

    private double Unit() => (DropoutMask.Mix(DropoutMask.Mix((ulong)_options.Seed) + _draws++) >> 11) * (1.0 / (1UL << 53));

    private static void Check(bool holds, string name, double value, string range)
    {
        if (!holds) throw new ArgumentOutOfRangeException(name, $"--{name} {value} must be {range}");
    }
}
