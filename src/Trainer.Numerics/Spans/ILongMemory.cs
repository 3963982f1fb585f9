namespace Trainer.Numerics.Spans;

/// <summary>Memory of any size, whatever its elements are.</summary>
public interface ILongMemory : IDisposable
{
    /// <summary>All bytes.</summary>
    LongSpan<byte> Bytes { get; }
}
