using Trainer.Engine.Fast.Layout;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>
/// The rounds of attention's backward pass where key heads alone do not feed the threads: in each as many units as there is room for, then the keys that they
/// add to, cut into parts. Layers that see alike share them.
/// </summary>
internal sealed class AttentionRounds
{
    private const int PartsPerThread = 4;
    // BLAS sums fewer rows than these in another order.
    private const int LeastKeys = 16;

    private readonly AttentionBlocks _blocks;
    private readonly int[] _starts;
    private readonly int _threads;

    /// <param name="shape">The heads.</param>
    /// <param name="blocks">How queries are cut.</param>
    /// <param name="threads">Threads that share the work.</param>
    /// <param name="starts">Where segments begin, and where the last ends.</param>
    /// <param name="window">Keys that a query sees at most; null for all before it.</param>
    public AttentionRounds(HeadShape shape, AttentionBlocks blocks, int threads, int[] starts, int? window)
    {
        (Shape, _blocks, _threads, _starts, Window) = (shape, blocks, threads, starts, window);
        All = [.. Cut(window)];
    }

    /// <summary>The heads.</summary>
    public HeadShape Shape { get; }

    /// <summary>Keys that a query sees at most; null for all before it.</summary>
    public int? Window { get; }

    /// <summary>The rounds, in the order of their sums.</summary>
    public IReadOnlyList<Round> All { get; }

    /// <summary>Whether these are the rounds of other operands too.</summary>
    public bool Serve(AttentionBlocks blocks, int threads, int[] starts) => blocks == _blocks && threads == _threads && ReferenceEquals(starts, _starts);

    /// <summary>Whether keys can be cut: a window begins anywhere, so a unit may have a few keys before the end of a part.</summary>
    public static bool CanCut(AttentionBlocks blocks, int? window) => window is not { } width || (width - 1) % Step(blocks) is 0 or >= LeastKeys;

    private IEnumerable<Round> Cut(int? window)
    {
        var most = _blocks.Room(_threads);
        List<Unit> round = [];
        long taken = 0;
        foreach (var (segment, head, block) in Sequence(window))
        {
            var size = ThreadScratch.Share((long)block.Count * block.Keys);
            if (taken + size > most)
            {
                yield return Of(round);
                round.Clear();
                taken = 0;
            }
            round.Add(new(segment, head, block, taken));
            taken += size;
        }
        yield return Of(round);
    }

    // For each key head its units in the order of their sums; key heads side by side, so that a round has some of each.
    private IEnumerable<(int Segment, int Head, AttentionBlock Block)> Sequence(int? window)
    {
        for (var segment = 0; segment + 1 < _starts.Length; segment++)
            for (var g = 0; g < Shape.Group; g++)
                foreach (var block in _blocks.Cut(_starts[segment], _starts[segment], _starts[segment + 1], window))
                    for (var kv = 0; kv < Shape.KvHeads; kv++) yield return (segment, kv * Shape.Group + g, block);
    }

    private Round Of(List<Unit> round)
    {
        // The largest first: the last ones taken are short.
        Unit[] bySize = [.. round.OrderByDescending(unit => (long)unit.Block.Count * unit.Block.Keys)];
        Unit[][] sums = [.. round.GroupBy(unit => (unit.Segment, Kv: unit.Head / Shape.Group)).Select(group => group.ToArray())];
        var keys = sums.Sum(units => (long)_starts[units[0].Segment + 1] - _starts[units[0].Segment]);
        // Parts end where blocks of queries end, or where these are halved, so that a unit has many keys in a part or none.
        var (step, wanted) = (_blocks.Queries, keys / (PartsPerThread * _threads));
        var part = (int)Math.Max(1, wanted / step) * step;
        for (var least = Step(_blocks); part > Math.Max(wanted, least);) part /= 2;
        List<Part> parts = [];
        foreach (var units in sums)
        {
            var last = _starts[units[0].Segment + 1];
            for (int begin = _starts[units[0].Segment], end; begin < last; begin = end)
            {
                end = last - begin - part < LeastKeys ? last : begin + part;
                parts.Add(new(units, begin, end));
            }
        }
        // First keys are seen by the most queries.
        parts.Sort((a, b) => (a.Begin - _starts[a.Units[0].Segment]).CompareTo(b.Begin - _starts[b.Units[0].Segment]));
        return new Round(bySize, parts);
    }

    // Queries of a block, halved while that leaves 32 and more: where parts of the keys may end.
    private static int Step(AttentionBlocks blocks)
    {
        var step = blocks.Queries;
        while (step % 2 == 0 && step >= 4 * LeastKeys) step /= 2;
        return step;
    }

    /// <summary>Units whose probabilities are computed at once, and then the parts of the keys.</summary>
    /// <param name="Units">The largest first.</param>
    /// <param name="Parts">The first keys first.</param>
    public sealed record Round(IReadOnlyList<Unit> Units, IReadOnlyList<Part> Parts);

    /// <summary>One block of queries of one head, and where its scores begin in the room of the round.</summary>
    public sealed record Unit(int Segment, int Head, AttentionBlock Block, long Offset);

    /// <summary>Keys [Begin, End), and the units that add to them in their order.</summary>
    public sealed record Part(IReadOnlyList<Unit> Units, int Begin, int End);
}
