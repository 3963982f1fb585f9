namespace Trainer.Data.Batching;

/// <summary>How rows become micro-batches and steps.</summary>
public sealed record BatchPlanOptions
{
    /// <summary>Rows in a micro-batch; with <see cref="Packing"/>, bins of up to <see cref="MaxSeqLength"/> tokens.</summary>
    public int BatchSize { get; init; } = 1;

    /// <summary>Micro-batches in an optimizer step, over all ranks.</summary>
    public int MicroBatchesPerStep { get; init; } = 1;

    /// <summary>Seed of the order.</summary>
    public int Seed { get; init; } = 42;

    /// <summary>Another order each epoch; else file order, consecutive rows to a micro-batch.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Micro-batches of rows of similar length (only where rows are shuffled).</summary>
    public bool GroupByLength { get; init; } = true;

    /// <summary>Best-fit packing of rows into bins.</summary>
    public bool Packing { get; init; }

    /// <summary>Tokens in a bin.</summary>
    public int MaxSeqLength { get; init; } = 2048;
}
