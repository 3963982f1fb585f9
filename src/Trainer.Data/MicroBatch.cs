namespace Trainer.Data;

/// <summary>
/// The tokens of one forward pass, flat: segments (rows) lie one behind the other without padding, and never see each other.
/// A batch of B rows and a packed bin of B samples are the same thing here.
/// </summary>
public sealed partial class MicroBatch
{
    /// <summary>Makes a batch; all per-token arrays have the same length T.</summary>
    public MicroBatch(int[] tokenIds, int[] targets, int[] positions, int[] segmentStarts, float[] segmentWeights, RowSource[] rows,
        SegmentRole[]? roles = null, int[]? answerStarts = null)
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
        Roles = roles ?? new SegmentRole[rows.Length];
        AnswerStarts = answerStarts ?? segmentStarts[..^1];
        for (var segment = 0; segment < segmentWeights.Length; segment++)
        {
            var trained = targets.AsSpan(segmentStarts[segment], segmentStarts[segment + 1] - segmentStarts[segment]).ToArray()
                .Count(target => target != Example.IgnoredLabel);
            TrainedTokens += trained;
            TrainedWeight += (double)segmentWeights[segment] * trained;
        }
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

    /// <summary>What each segment is for.</summary>
    public SegmentRole[] Roles { get; }

    /// <summary>The first token of each segment's answer; of a plain segment its first token.</summary>
    public int[] AnswerStarts { get; }

    /// <summary>Token losses of the reference, length T, where they are known beforehand; else null.</summary>
    public float[]? ReferenceLosses { get; init; }

    /// <summary>What is known of answers that the model made up; null where they came with the data.</summary>
    public Rollout? Rollout { get; init; }

    /// <summary>The same tokens with what else is known of them.</summary>
    /// <param name="referenceLosses">See <see cref="ReferenceLosses"/>.</param>
    /// <param name="rollout">See <see cref="Rollout"/>.</param>
    public MicroBatch Told(float[]? referenceLosses, Rollout? rollout = null) =>
        new(TokenIds, Targets, Positions, SegmentStarts, SegmentWeights, Rows, Roles, AnswerStarts) { ReferenceLosses = referenceLosses, Rollout = rollout };

    /// <summary>Rows: a pair is one, and what is only measured is none.</summary>
    public int RowCount => Roles.Count(role => role is not (SegmentRole.Rejected or SegmentRole.Mismatched));

    /// <summary>How many targets are not ignored.</summary>
    public int TrainedTokens { get; }

    /// <summary>The same, each counted with its segment's weight.</summary>
    public double TrainedWeight { get; }

    /// <summary>Lays examples out flat, shifting labels within each.</summary>
    /// <param name="examples">The rows, in order.</param>
    /// <param name="meanWeight">The data set's mean row weight (1 where no row carries one).</param>
    public static MicroBatch From(IReadOnlyList<Example> examples, float meanWeight = 1f)
    {
        var total = examples.Sum(example => example.InputIds.Length);
        var (tokens, targets, positions) = (new int[total], new int[total], new int[total]);
        var (starts, weights, rows, roles, answers) = (new List<int>(), new List<float>(), new List<RowSource>(), new List<SegmentRole>(), new List<int>());
        var at = 0;
        foreach (var example in examples)
        {
            var (ids, labels) = (example.InputIds, example.Labels);
            for (var t = 0; t < ids.Length; t++, at++)
            {
                if (t == 0 || labels[t] < Example.IgnoredLabel)
                {
                    starts.Add(at);
                    weights.Add(example.Weight / meanWeight);
                    rows.Add(example.Source);
                    roles.Add(Example.RoleOf(labels[t]));
                    answers.Add(at);
                }
                tokens[at] = ids[t];
                positions[at] = at - starts[^1];
                targets[at] = t + 1 < ids.Length && labels[t + 1] >= 0 ? labels[t + 1] : Example.IgnoredLabel;
                if (targets[at] >= 0 && roles[^1] != SegmentRole.Plain && answers[^1] == starts[^1]) answers[^1] = at + 1;
            }
        }
        starts.Add(total);
        return new MicroBatch(tokens, targets, positions, [.. starts], [.. weights], [.. rows], [.. roles], [.. answers]);
    }
}
