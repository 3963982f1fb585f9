using Trainer.Data.Batching;

namespace Trainer.Data.Storage;

/// <summary>Which rows of the training sources are held out: a fixed choice that depends on the rows' number alone, not on a run's seed.</summary>
internal static class HeldOut
{
    private const int FixedSeed = 20210617; // any constant would do, but it must never change

    /// <summary>True for examples held out. Parts of one row stay together; parts of one only document are held out from its end.</summary>
    public static bool[] Choose(TokenStore store, double share)
    {
        var held = new bool[store.Count];
        var rows = Rows(store);
        if (rows == 1)
        {
            for (var i = store.Count - Size(store.Count, share); i < store.Count; i++) held[i] = true;
            return held;
        }
        var chosen = ChooseRows(rows, share);
        var (example, number) = (0, -1);
        RowRecord? before = null;
        foreach (var record in store.Records())
        {
            if (before is not { } last || !record.IsOfRow(last)) number++;
            held[example++] = chosen[number];
            before = record;
        }
        return held;
    }

    /// <summary>True for the rows held out of so many, two or more.</summary>
    public static bool[] ChooseRows(int rows, double share)
    {
        var chosen = new bool[rows];
        foreach (var row in SeededOrder.Permutation(rows, SeededOrder.State(FixedSeed, 0, 3)).AsSpan(0, Size(rows, share))) chosen[row] = true;
        return chosen;
    }

    private static int Rows(TokenStore store)
    {
        var rows = 0;
        RowRecord? before = null;
        foreach (var record in store.Records())
        {
            if (before is not { } last || !record.IsOfRow(last)) rows++;
            before = record;
        }
        return rows;
    }

    /// <summary>How many of so many rows a share or a count holds out.</summary>
    public static int Size(int rows, double share)
    {
        var wanted = share < 1 ? Math.Max(1, (long)Math.Round(rows * share)) : (long)share;
        return wanted < rows
            ? (int)wanted : throw new DataException($"--eval-split {share} would hold out {wanted} of {rows} rows and leave none to train on; use less");
    }
}
