namespace Trainer.Engine.Passes;

/// <summary>What of a batch the buffers of its pass depend on.</summary>
/// <param name="Tokens">Tokens T.</param>
/// <param name="LossRows">Tokens that carry loss.</param>
/// <param name="Longest">Tokens of the longest segment.</param>
/// <param name="Positions">Neighbouring positions that occur: rows of the rotary tables.</param>
public sealed record BatchShape(long Tokens, long LossRows, long Longest, long Positions)
{
    /// <summary>Most tokens that came before a segment, whose keys it sees too.</summary>
    public long Past { get; init; }

    /// <summary>Whether adapters drop elements of their inputs in this pass.</summary>
    public bool Drops { get; init; }

    /// <summary>A batch of rows that each count from position 0.</summary>
    /// <param name="tokens">Tokens T.</param>
    /// <param name="lossRows">Tokens that carry loss.</param>
    /// <param name="longest">Tokens of the longest row.</param>
    public static BatchShape OfRows(long tokens, long lossRows, long longest) => new(tokens, lossRows, longest, longest);

    /// <summary>The shape of a batch.</summary>
    /// <param name="batch">The batch.</param>
    public static BatchShape Of(TokenBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        var longest = 0;
        for (var s = 0; s + 1 < batch.SegmentStarts.Length; s++) longest = Math.Max(longest, batch.SegmentStarts[s + 1] - batch.SegmentStarts[s]);
        // Several texts stand at places far apart: their tables hold a row for each token.
        if (batch.TextLengths.Length > 1)
            return new(batch.Length, 0, longest, batch.Length) { Past = batch.SegmentStarts.SkipLast(1).Max(start => batch.Positions[start]) };
        var first = batch.Positions.Min();
        return new(batch.Length, batch.TrainedTokens, longest, batch.Positions.Max() + 1 - first) { Past = first };
    }
}
