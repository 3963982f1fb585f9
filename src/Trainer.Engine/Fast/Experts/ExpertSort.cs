namespace Trainer.Engine.Fast.Experts;

/// <summary>The slots of a batch's tokens, sorted by expert: once a layer, on the host.</summary>
internal sealed class ExpertSort
{
    /// <summary>Sorts slots; those of one expert stay in the order of their tokens.</summary>
    /// <param name="choice">Each slot's expert, a token's slots side by side.</param>
    /// <param name="chosen">Slots of a token.</param>
    /// <param name="experts">Experts.</param>
    public ExpertSort(ReadOnlySpan<int> choice, int chosen, int experts)
    {
        Starts = new int[experts + 1];
        foreach (var expert in choice) Starts[expert + 1]++;
        for (var e = 0; e < experts; e++) Starts[e + 1] += Starts[e];
        var next = Starts.AsSpan(0, experts).ToArray();
        (Tokens, Slots, Rows) = (new int[choice.Length], new int[choice.Length], new int[choice.Length]);
        for (var slot = 0; slot < choice.Length; slot++)
        {
            var row = next[choice[slot]]++;
            (Tokens[row], Slots[row], Rows[slot]) = (slot / chosen, slot, row);
        }
    }

    /// <summary>First row of each expert, and the number of rows.</summary>
    public int[] Starts { get; }

    /// <summary>The token of each row.</summary>
    public int[] Tokens { get; }

    /// <summary>The slot of each row.</summary>
    public int[] Slots { get; }

    /// <summary>The row of each slot.</summary>
    public int[] Rows { get; }
}
