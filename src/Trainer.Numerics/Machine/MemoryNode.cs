namespace Trainer.Numerics.Machine;

/// <summary>Memory that some processors reach sooner than others do.</summary>
/// <param name="Number">The system's number of it.</param>
/// <param name="Processors">Processors beside it that the process may run on.</param>
/// <param name="Bytes">Its size; 0 where that is not told.</param>
public sealed record MemoryNode(int Number, int Processors, long Bytes);
