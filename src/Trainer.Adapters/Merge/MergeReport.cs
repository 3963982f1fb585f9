namespace Trainer.Adapters.Merge;

/// <summary>What was merged.</summary>
/// <param name="Merged">Weights and biases that an adapter changed.</param>
/// <param name="Replaced">Tensors that the adapter folder holds whole.</param>
/// <param name="Copied">Tensors left as they were.</param>
/// <param name="IsUntied">Whether the head no longer shares the embedding's weight.</param>
/// <param name="Survival">How much of the adapter's change the stored type keeps, over the weights written by this call.</param>
public sealed record MergeReport(int Merged, int Replaced, int Copied, bool IsUntied, MergeSurvival Survival);
