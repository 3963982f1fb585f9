namespace Trainer.Engine.Fast.Operations;

/// <summary>A block of memory of the device that computes. Only the kernels that made it know where it lies.</summary>
/// <param name="bytes">Its size.</param>
internal abstract class DeviceMemory(long bytes) : IDisposable
{
    /// <summary>Bytes of the block.</summary>
    public long Bytes { get; } = bytes;

    public abstract void Dispose();
}
