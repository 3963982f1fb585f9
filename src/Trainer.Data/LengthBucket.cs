namespace Trainer.Data;

/// <summary>Rows of a range of lengths.</summary>
/// <param name="From">Shortest length, in tokens.</param>
/// <param name="To">Longest length, in tokens.</param>
/// <param name="Rows">How many.</param>
public sealed record LengthBucket(int From, int To, long Rows);
