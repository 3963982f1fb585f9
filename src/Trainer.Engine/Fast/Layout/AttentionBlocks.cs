using Trainer.Engine.Passes;

namespace Trainer.Engine.Fast.Layout;

/// <summary>How attention cuts the queries of a batch into blocks.</summary>
/// <param name="Longest">Keys that a query may see at most.</param>
/// <param name="Queries">Queries of a block.</param>
/// <param name="Scratch">Scores of a block.</param>
internal readonly record struct AttentionBlocks(long Longest, int Queries, long Scratch)
{
    private const int ManyThreads = 16;

    public static AttentionBlocks Of(FastShape shape, BatchShape batch)
    {
        var longest = batch.Longest + batch.Past;
        // A block of scores of at most 512 KiB stays in the second-level cache through its products.
        var queries = Math.Min(longest, Math.Clamp((1 << 17) / Math.Max(1, longest), 32, 128));
        var group = batch.Past > 0 ? shape.AllHeads.Select(heads => heads.Group).DefaultIfEmpty(1).Max() : 1;
        return new(longest, (int)queries, ThreadScratch.Share(Math.Max(queries, group) * longest));
    }

    /// <summary>Scores of a training pass that may lie there at once. With many threads there are short blocks among the long ones: more at once even the
    /// threads' shares out.</summary>
    public long Room(int threads) => Scratch * threads * (threads > ManyThreads ? 2 : 1);

    /// <summary>Two blocks of scores a thread, and a row of slopes where scores are capped.</summary>
    public IEnumerable<PassBuffer> Buffers(FastShape shape, int threads, bool isTraining)
    {
        yield return new(BufferUse.Scratch, new(BufferId.Scores), isTraining ? Room(threads) : Scratch * threads);
        if (!isTraining) yield break;
        yield return new(BufferUse.Scratch, new(BufferId.ScoreGradients), Room(threads));
        if (shape.AllHeads.Any(heads => heads.ScoreCap is not null)) yield return new(BufferUse.Scratch, new(BufferId.ScoreSlopes), Longest * threads);
    }

    /// <summary>Floating-point operations of a number of products over all pairs of queries and keys that are computed.</summary>
    public double Operations(HeadShape shape, int[] starts, int? window, int products)
    {
        double pairs = 0;
        for (var s = 0; s + 1 < starts.Length; s++)
            foreach (var (_, count, _, keys) in Cut(starts[s], starts[s], starts[s + 1], window)) pairs += (double)count * keys;
        return 2.0 * products * pairs * shape.Heads * shape.HeadSize;
    }

    /// <summary>Query rows [begin, end) block by block, and the key rows, from <paramref name="lowest"/> on, that any of a block sees.</summary>
    public IEnumerable<AttentionBlock> Cut(int lowest, int begin, int end, int? window)
    {
        for (var q = begin; q < end; q += Queries)
        {
            var last = Math.Min(q + Queries, end);
            var first = window is { } width ? Math.Max(lowest, q - width + 1) : lowest;
            yield return new(q, last - q, first, last - first);
        }
    }
}
