namespace Trainer.Training.Plan;

/// <summary>One part of a run's memory.</summary>
/// <param name="Name">What it is: base, adapter, optimizer, layer inputs, ...</param>
/// <param name="Bytes">Its size.</param>
public sealed record MemoryPart(string Name, long Bytes);
