namespace Trainer.Data.Batching;

/// <summary>The micro-batches of one epoch.</summary>
/// <param name="Rows">All rows, micro-batch behind micro-batch.</param>
/// <param name="Starts">Offsets of the micro-batches into <see cref="Rows"/>, one more than there are.</param>
/// <param name="PaddingShare">Share of tokens that padding each micro-batch to its longest row would waste.</param>
/// <param name="PackingEfficiency">Share of bin capacity that holds tokens; 0 without packing.</param>
internal sealed record EpochLayout(int[] Rows, int[] Starts, double PaddingShare, double PackingEfficiency)
{
    public int MicroBatches => Starts.Length - 1;

    public int[] MicroBatch(int index) => Rows[Starts[index]..Starts[index + 1]];
}
