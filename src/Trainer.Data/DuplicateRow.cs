namespace Trainer.Data;

/// <summary>A row whose tokens and labels equal an earlier row's.</summary>
/// <param name="Source">The later row.</param>
/// <param name="First">The row seen first.</param>
public sealed record DuplicateRow(RowSource Source, RowSource First);
