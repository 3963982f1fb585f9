namespace Trainer.Adapters;

/// <summary>One tensor of a merged model.</summary>
/// <param name="Name">Name in the model folder.</param>
/// <param name="Shape">Row-major shape.</param>
/// <param name="IsChanged">Whether the adapter changes it; the others are the base's.</param>
public sealed record MergedTensor(string Name, IReadOnlyList<long> Shape, bool IsChanged);
