namespace Trainer.Data;

/// <summary>A range of characters.</summary>
/// <param name="Start">First character.</param>
/// <param name="End">One past the last.</param>
public readonly record struct CharSpan(int Start, int End);
