using Trainer.Engine.Fast.Layout;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>
/// What can attend at once: each block of queries of each head of each segment. Within a segment the blocks that see the most keys come first, so that the
/// last ones taken are short, and the heads of a block side by side, so that neighbours share their keys. Each is computed alike whoever takes it.
/// </summary>
internal sealed class AttentionUnits
{
    private readonly AttentionBlock[][] _blocks;
    private readonly int _heads;

    /// <param name="blocks">How queries are cut.</param>
    /// <param name="starts">Where segments begin among the queries, and where the last ends.</param>
    /// <param name="heads">Query heads.</param>
    /// <param name="window">Keys that a query sees at most; null for all before it.</param>
    /// <param name="held">Keys before the first query.</param>
    public AttentionUnits(AttentionBlocks blocks, int[] starts, int heads, int? window, int held = 0)
    {
        _heads = heads;
        _blocks = new AttentionBlock[starts.Length - 1][];
        for (var s = 0; s < _blocks.Length; s++)
        {
            _blocks[s] = [.. blocks.Cut(starts[s], starts[s] + held, starts[s + 1] + held, window)];
            Count += (long)heads * _blocks[s].Length;
        }
    }

    /// <summary>How many.</summary>
    public long Count { get; }

    /// <summary>Units [begin, end).</summary>
    public IEnumerable<(int Head, AttentionBlock Block)> Range(long begin, long end)
    {
        var segment = 0;
        for (long unit = begin, first = 0; unit < end; unit++)
        {
            while (unit - first >= (long)_heads * _blocks[segment].Length) first += (long)_heads * _blocks[segment++].Length;
            var (block, head) = Math.DivRem(unit - first, _heads);
            yield return ((int)head, _blocks[segment][^((int)block + 1)]);
        }
    }
}
