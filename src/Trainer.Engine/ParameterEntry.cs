namespace Trainer.Engine;

/// <summary>One trainable tensor: its name on disk and its place in the flat buffers.</summary>
/// <param name="Name">Name as PEFT (or, with all weights trained, Hugging Face) writes it.</param>
/// <param name="Shape">Row-major shape.</param>
/// <param name="Offset">First float in the buffers, a multiple of 16 (64 bytes).</param>
public sealed record ParameterEntry(string Name, IReadOnlyList<long> Shape, long Offset)
{
    /// <summary>Number of elements.</summary>
    public long Count { get; } = Shape.Aggregate(1L, (product, size) => product * size);
}
