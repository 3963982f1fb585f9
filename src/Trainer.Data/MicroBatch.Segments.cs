namespace Trainer.Data;

public sealed partial class MicroBatch
{
    /// <summary>The segments from one to another, as a batch of their own.</summary>
    /// <param name="begin">First segment.</param>
    /// <param name="end">One past the last.</param>
    public MicroBatch Segments(int begin, int end)
    {
        if (begin == 0 && end == Roles.Length) return this;
        return Of([.. Enumerable.Range(begin, end - begin).Select(segment => new Piece(this, segment))]);
    }

    /// <summary>The segments whose role is wanted, as a batch of their own.</summary>
    public MicroBatch Segments(Func<SegmentRole, bool> isWanted) =>
        Roles.All(isWanted)
        ? this : Of([.. Enumerable.Range(0, Roles.Length).Where(segment => isWanted(Roles[segment])).Select(segment => new Piece(this, segment))]);

    /// <summary>The same rows with every token of a prompt a target too, in segments of one role.</summary>
    public MicroBatch WithPromptTargets(SegmentRole role)
    {
        var targets = Targets.ToArray();
        for (var segment = 0; segment < Roles.Length; segment++)
        {
            if (Roles[segment] != role) continue;
            for (var t = SegmentStarts[segment]; t + 1 < AnswerStarts[segment]; t++) targets[t] = TokenIds[t + 1];
        }
        return new MicroBatch(TokenIds, targets, Positions, SegmentStarts, SegmentWeights, Rows, Roles, AnswerStarts);
    }

    /// <summary>
    /// The labelled answers, and behind them each prompt with an answer that is not its own: the one the row brings along, or that of the row before
    /// it, for the first row that of the last (KTO, arXiv 2402.01306).
    /// </summary>
    public MicroBatch WithMismatched()
    {
        var pieces = Enumerable.Range(0, Roles.Length).Select(segment => new Piece(this, segment)).ToList();
        var rows = pieces.Where(piece => piece.Role != SegmentRole.Mismatched).ToList();
        var given = pieces.Where(piece => piece.Role == SegmentRole.Mismatched).ToList();
        if (given.Count == 0)
            given = [.. rows.Select((row, i) => row with { Role = SegmentRole.Mismatched, Answer = rows[(i + rows.Count - 1) % rows.Count].Answer })];
        return Of([.. rows, .. given]);
    }

    private static MicroBatch Of(IReadOnlyList<Piece> pieces) => From([.. pieces.Select(piece => new Example(
        [.. piece.Prompt, .. piece.Answer],
        [Example.MarkerOf(piece.Role), .. Enumerable.Repeat(Example.IgnoredLabel, piece.Prompt.Length - 1), .. piece.Answer],
        piece.Weight, piece.Source))]);

    private sealed record Piece(SegmentRole Role, int[] Prompt, int[] Answer, float Weight, RowSource Source)
    {
        public Piece(MicroBatch batch, int segment) : this(
            batch.Roles[segment],
            batch.TokenIds[batch.SegmentStarts[segment]..batch.AnswerStarts[segment]],
            batch.TokenIds[batch.AnswerStarts[segment]..batch.SegmentStarts[segment + 1]],
            batch.SegmentWeights[segment],
            batch.Rows[segment])
        {
        }
    }
}
