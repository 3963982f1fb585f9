namespace Trainer.Data;

/// <summary>
/// The tokens of one forward pass, flat: segments (rows) lie one behind the other without padding, and never see each other.
/// A batch of B rows and a packed bin of B samples are the same thing here.
/// </summary>
public sealed class MicroBatch
{
    /// <summary>Makes a batch; all per-token arrays have the same length T.</summary>
    public MicroBatch(int[] tokenIds, int[] targets, int[] positions, int[] segmentStarts, float[] segmentWeights, RowSource[] rows)
    {
        if (targets.Length != tokenIds.Length || positions.Length != tokenIds.Length)
            throw new ArgumentException("tokens, targets and positions differ in length");
        if (segmentStarts.Length == 0 || segmentStarts[0] != 0 || segmentStarts[^1] != tokenIds.Length)
            throw new ArgumentException("segment starts must run from 0 to the token count");
        if (segmentWeights.Length != segmentStarts.Length - 1 || rows.Length != segmentWeights.Length)
            throw new ArgumentException("one weight and one row per segment");
        TokenIds = tokenIds;
        Targets = targets;
        Positions = positions;
        SegmentStarts = segmentStarts;
        SegmentWeights = segmentWeights;
        Rows = rows;
        foreach (var target in targets)
            if (target != Example.IgnoredLabel) TrainedTokens++;
    }

    /// <summary>Token ids, length T.</summary>
    public int[] TokenIds { get; }

    /// <summary>Length T, already shifted: the id that position t must predict, or <see cref="Example.IgnoredLabel"/>.</summary>
    public int[] Targets { get; }

    /// <summary>Rotary positions, length T; each segment starts at 0.</summary>
    public int[] Positions { get; }

    /// <summary>Offsets of the segments, length segments + 1, from 0 to T.</summary>
    public int[] SegmentStarts { get; }

    /// <summary>Loss multiplier of each segment, already divided by the data set's mean weight.</summary>
    public float[] SegmentWeights { get; }

    /// <summary>The row each segment came from.</summary>
    public RowSource[] Rows { get; }

    /// <summary>How many targets are not ignored.</summary>
    public int TrainedTokens { get; }

    /// <summary>Lays examples out flat, shifting labels within each.</summary>
    /// <param name="examples">The rows, in order.</param>
    /// <param name="meanWeight">The data set's mean row weight (1 where no row carries one).</param>
    public static MicroBatch From(IReadOnlyList<Example> examples, float meanWeight = 1f)
    {
        var total = 0;
        foreach (var example in examples) total += example.InputIds.Length;
        var tokens = new int[total];
        var targets = new int[total];
        var positions = new int[total];
        var starts = new int[examples.Count + 1];
        var weights = new float[examples.Count];
        var rows = new RowSource[examples.Count];
        var at = 0;
        for (var i = 0; i < examples.Count; i++)
        {
            var (ids, labels) = (examples[i].InputIds, examples[i].Labels);
            starts[i] = at;
            weights[i] = examples[i].Weight / meanWeight;
            rows[i] = examples[i].Source;
            for (var t = 0; t < ids.Length; t++, at++)
            {
                tokens[at] = ids[t];
                positions[at] = t;
                targets[at] = t + 1 < ids.Length ? labels[t + 1] : Example.IgnoredLabel;
            }
        }
        starts[^1] = total;
        return new MicroBatch(tokens, targets, positions, starts, weights, rows);
    }
}
