using Trainer.Data.Batching;

namespace Trainer.Data.Storage;

/// <summary>Which rows of the training sources are held out: a fixed choice that depends on the rows' number alone, not on a run's seed.</summary>
internal static class HeldOut
{
    private const int FixedSeed = 20210617; // any constant would do, but it must never change

    /// <summary>True for examples held out. Parts of one row stay together; parts of one only document are held out from its end.</summary>
    public static bool[] Choose(RowIndex index, double share)
    {
        var held = new bool[index.Count];
        var groups = new int[index.Count];
        var count = 0;
        for (var i = 0; i < index.Count; i++)
        {
            if (i > 0 && (index.Line[i] != index.Line[i - 1] || index.File[i] != index.File[i - 1])) count++;
            groups[i] = count;
        }
        count++;
        if (count == 1)
        {
            var parts = Size(index.Count, share);
            for (var i = index.Count - parts; i < index.Count; i++) held[i] = true;
            return held;
        }
        var size = Size(count, share);
        var chosen = new HashSet<int>(SeededOrder.Permutation(count, SeededOrder.State(FixedSeed, 0, 3)).Take(size));
        for (var i = 0; i < held.Length; i++) held[i] = chosen.Contains(groups[i]);
        return held;
    }

    private static int Size(int rows, double share)
    {
        var wanted = share < 1 ? Math.Max(1, (long)Math.Round(rows * share)) : (long)share;
        return wanted < rows ? (int)wanted : throw new DataException($"--eval-split {share} would hold out {wanted} of {rows} rows and leave none to train on; use less");
    }
}
