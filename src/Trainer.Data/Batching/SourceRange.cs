namespace Trainer.Data.Batching;

/// <summary>The rows that came from one source, and how often an epoch takes them.</summary>
/// <param name="Start">First row.</param>
/// <param name="Count">How many rows.</param>
/// <param name="Weight">Times each row is taken an epoch: 1 once, 2.5 twice and half of them a third time, 0.25 a quarter of them.</param>
public readonly record struct SourceRange(int Start, int Count, double Weight);
