namespace Trainer.Models.Fast;

/// <summary>One call of flash attention: a run of queries and the run of keys they see, as rows of the flat batch.</summary>
/// <param name="QueryBegin">First query.</param>
/// <param name="QueryCount">Queries.</param>
/// <param name="KeyBegin">First key.</param>
/// <param name="KeyCount">Keys.</param>
/// <param name="Window">0: plain causal over equal runs; else the keys a query sees, itself included, through a mask of QueryCount x KeyCount.</param>
internal readonly record struct AttentionBlock(int QueryBegin, int QueryCount, int KeyBegin, int KeyCount, int Window)
{
    private const int LeastBlock = 64;
    private const int LargestBlock = 512;

    /// <summary>Splits a batch: one causal call a segment, or, where a window is shorter than the segment, blocks whose masks stay small however long it is.</summary>
    /// <param name="starts">Segment starts.</param>
    /// <param name="window">Keys a query sees, or null.</param>
    public static IEnumerable<AttentionBlock> Of(int[] starts, int? window)
    {
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            var (begin, end) = (starts[s], starts[s + 1]);
            if (window is not { } width || width >= end - begin)
            {
                yield return new AttentionBlock(begin, end - begin, begin, end - begin, 0);
                continue;
            }
            var size = Math.Clamp(width, LeastBlock, LargestBlock);
            for (var q = begin; q < end; q += size)
            {
                var last = Math.Min(q + size, end);
                var first = Math.Max(begin, q - width + 1);
                yield return new AttentionBlock(q, last - q, first, last - first, width);
            }
        }
    }
}
