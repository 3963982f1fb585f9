namespace Trainer.Data.Batching;

/// <summary>The micro-batches of one epoch, a few bytes a row.</summary>
/// <param name="Rows">All rows; micro-batches are cut from them one behind the other.</param>
/// <param name="BatchSize">Rows in a micro-batch, the last one excepted; not where <see cref="Starts"/> says.</param>
/// <param name="Order">Which of the cut micro-batches comes when; null where they come as they were cut.</param>
internal sealed record EpochLayout(int[] Rows, int BatchSize, int[]? Order)
{
    /// <summary>Offsets of the micro-batches into <see cref="Rows"/>, one more than there are; null where all have the same size.</summary>
    public int[]? Starts { get; init; }

    /// <summary>Bins of packed rows.</summary>
    public int Bins { get; init; }

    /// <summary>Share of tokens that padding each micro-batch to its longest row would waste.</summary>
    public double PaddingShare { get; init; }

    /// <summary>Share of bin capacity that holds tokens; 0 without packing.</summary>
    public double PackingEfficiency { get; init; }

    public int MicroBatches => Starts is null ? (Rows.Length + BatchSize - 1) / BatchSize : Starts.Length - 1;

    public int[] MicroBatch(int index) => Span(index).ToArray();

    public ReadOnlySpan<int> Span(int index)
    {
        if (Starts is not null) return Rows.AsSpan(Starts[index]..Starts[index + 1]);
        var from = (Order is null ? index : Order[index]) * BatchSize;
        return Rows.AsSpan(from, Math.Min(BatchSize, Rows.Length - from));
    }
}
