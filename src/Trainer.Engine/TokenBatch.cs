using Trainer.Engine.Generation;

namespace Trainer.Engine;

/// <summary>The tokens of one forward pass, flat: segments lie one behind the other without padding and never see each other.</summary>
public sealed class TokenBatch
{
    /// <summary>The target of a token that carries no loss.</summary>
    public const int IgnoredTarget = -100;

    /// <summary>Makes a batch of T tokens in S segments.</summary>
    /// <param name="tokenIds">Length T.</param>
    /// <param name="targets">Length T, already shifted: the id that token t must predict, or <see cref="IgnoredTarget"/>.</param>
    /// <param name="positions">Length T, rotary positions; each segment counts from its own start.</param>
    /// <param name="segmentStarts">Length S + 1, from 0 to T, strictly rising.</param>
    /// <param name="segmentWeights">Length S, multiplier of each segment's loss.</param>
    public TokenBatch(int[] tokenIds, int[] targets, int[] positions, int[] segmentStarts, float[] segmentWeights)
    {
        if (tokenIds.Length == 0) throw new ArgumentException("a batch needs at least one token");
        if (targets.Length != tokenIds.Length || positions.Length != tokenIds.Length)
            throw new ArgumentException("tokens, targets and positions differ in length");
        if (segmentStarts.Length < 2 || segmentStarts[0] != 0 || segmentStarts[^1] != tokenIds.Length)
            throw new ArgumentException("segment starts must run from 0 to the token count");
        if (segmentWeights.Length != segmentStarts.Length - 1)
            throw new ArgumentException("one weight per segment");
        for (var s = 1; s < segmentStarts.Length; s++)
            if (segmentStarts[s] <= segmentStarts[s - 1]) throw new ArgumentException("a segment is empty");
        TokenIds = tokenIds;
        Targets = targets;
        Positions = positions;
        SegmentStarts = segmentStarts;
        SegmentWeights = segmentWeights;
        foreach (var target in targets)
            if (target != IgnoredTarget) TrainedTokens++;
    }

    /// <summary>Token ids, length T.</summary>
    public int[] TokenIds { get; }

    /// <summary>Shifted targets, length T.</summary>
    public int[] Targets { get; }

    /// <summary>Rotary positions, length T.</summary>
    public int[] Positions { get; }

    /// <summary>Offsets of the segments, length S + 1.</summary>
    public int[] SegmentStarts { get; }

    /// <summary>Loss multiplier of each segment, length S.</summary>
    public float[] SegmentWeights { get; }

    /// <summary>
    /// Gives each token's weight, length T, once its loss is known, length T; null weighs a token by its segment. Only a training pass asks, once,
    /// between its forward and its backward half: an objective over whole answers needs no pass of its own.
    /// </summary>
    public Func<float[], float[]>? Weigh { get; init; }

    /// <summary>Strength of the noise on embeddings in a training pass with a key (NEFTune's alpha); 0 is none.</summary>
    public double EmbeddingNoise { get; init; }

    /// <summary>Share of each target that is spread evenly over the vocabulary in a training pass.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>Weight of the routers' balancing term beside the token losses in a training pass, in the unit of their sum (tokens, where the loss is their
    /// mean); 0 leaves it out.</summary>
    public double BalanceWeight { get; init; }

    /// <summary>What logits are divided by before the softmax, as where a text was sampled so; above 0, and 1 where the model caps its logits.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>Where the mean logit over the vocabulary goes of each token with a target, length T; null does not ask. It is known once losses are.</summary>
    public float[]? LogitMeans { get; init; }

    /// <summary>How many targets are not ignored.</summary>
    public int TrainedTokens { get; }

    /// <summary>Tokens of the whole text that each segment continues, length S: rotary frequencies that depend on the length look at it. Empty where segments
    /// are whole texts.</summary>
    internal int[] TextLengths { get; init; } = [];

    /// <summary>Token count T.</summary>
    public int Length => TokenIds.Length;

    /// <summary>One segment of tokens without targets, positions from 0: what a plain forward pass needs.</summary>
    /// <param name="tokenIds">The tokens.</param>
    public static TokenBatch OfTokens(int[] tokenIds) => Plain([(tokenIds, 0)], []);

    /// <summary>A segment for each text: tokens behind those that are computed already.</summary>
    internal static TokenBatch Continuation(IReadOnlyList<TextPart> parts) =>
        Plain([.. parts.Select(part => (part.Tokens, part.Text.Length))],
        [.. parts.Select(part => Math.Max(part.TextLength, part.Text.Length + part.Tokens.Length))]);

    private static TokenBatch Plain((int[] Ids, int First)[] segments, int[] textLengths)
    {
        var ids = segments.Length == 1 ? segments[0].Ids : [.. segments.SelectMany(segment => segment.Ids)];
        var (targets, positions, starts, weights) = (new int[ids.Length], new int[ids.Length], new int[segments.Length + 1], new float[segments.Length]);
        Array.Fill(targets, IgnoredTarget);
        Array.Fill(weights, 1f);
        for (var s = 0; s < segments.Length; s++)
        {
            starts[s + 1] = starts[s] + segments[s].Ids.Length;
            for (var t = starts[s]; t < starts[s + 1]; t++) positions[t] = segments[s].First + t - starts[s];
        }
        return new TokenBatch(ids, targets, positions, starts, weights) { TextLengths = textLengths };
    }

    /// <summary>Rows with unshifted labels (as Hugging Face writes them), laid out flat.</summary>
    /// <param name="rows">Token ids and labels of each row, equal lengths within a row.</param>
    public static TokenBatch OfRows(IReadOnlyList<(int[] Ids, int[] Labels)> rows)
    {
        var total = rows.Sum(row => row.Ids.Length);
        var (ids, targets, positions) = (new int[total], new int[total], new int[total]);
        var starts = new int[rows.Count + 1];
        var weights = new float[rows.Count];
        Array.Fill(weights, 1f);
        var at = 0;
        for (var r = 0; r < rows.Count; r++)
        {
            starts[r] = at;
            var (rowIds, labels) = rows[r];
            for (var t = 0; t < rowIds.Length; t++, at++)
            {
                ids[at] = rowIds[t];
                positions[at] = t;
                targets[at] = t + 1 < rowIds.Length ? labels[t + 1] : IgnoredTarget;
            }
        }
        starts[^1] = total;
        return new TokenBatch(ids, targets, positions, starts, weights);
    }
}
