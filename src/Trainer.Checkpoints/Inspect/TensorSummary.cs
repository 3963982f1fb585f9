namespace Trainer.Checkpoints.Inspect;

/// <summary>Tensors by type.</summary>
/// <param name="Count">Number of tensors.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="Parameters">Weights they stand for: of a 4-bit weight, its elements and not its bytes, and nothing for its scales.</param>
/// <param name="ByType">Tensors and bytes of each element type, largest first.</param>
/// <param name="Files">Weights files.</param>
public sealed record TensorSummary(int Count, long Bytes, long Parameters, IReadOnlyList<(string Type, int Count, long Bytes)> ByType,
    IReadOnlyList<string> Files);
