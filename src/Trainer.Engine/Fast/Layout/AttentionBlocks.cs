namespace Trainer.Engine.Fast;

/// <summary>How attention cuts the queries of a batch into blocks.</summary>
/// <param name="Longest">Keys that a query may see at most.</param>
/// <param name="Queries">Queries of a block.</param>
/// <param name="Scratch">Scores of a block.</param>
internal readonly record struct AttentionBlocks(long Longest, int Queries, long Scratch)
{
    public static AttentionBlocks Of(FastShape shape, BatchShape batch)
    {
        var longest = batch.Longest + batch.Past;
        // A block of scores of at most 512 KiB stays in the second-level cache through its products.
        var queries = Math.Min(longest, Math.Clamp((1 << 17) / Math.Max(1, longest), 32, 128));
        return new(longest, (int)queries, Math.Max(queries, batch.Past > 0 ? shape.Group : 1) * longest);
    }

    /// <summary>Two blocks of scores a thread, and a row of slopes where scores are capped.</summary>
    public IEnumerable<PassBuffer> Buffers(FastShape shape, int threads, bool isTraining)
    {
        yield return new(BufferUse.Scratch, new(BufferId.Scores), Scratch * threads);
        if (!isTraining) yield break;
        yield return new(BufferUse.Scratch, new(BufferId.ScoreGradients), Scratch * threads);
        if (shape.ScoreCap is not null) yield return new(BufferUse.Scratch, new(BufferId.ScoreSlopes), Longest * threads);
    }
}
