using TorchSharp;

namespace Trainer.Engine.Fast.Operations;

/// <summary>What the hand-written layers are made of: operations on a device's memory. Matrices are float32, row-major; strides are elements from a row to the
/// next.</summary>
/// <remarks>
/// Operations may be queued and run later, in the order given; <see cref="Download{T}"/>, <see cref="Synchronize"/> and the events of <see cref="Record"/> wait
/// for them.
/// Until then a frozen weight that they were given must stay where it lies.
/// Operands that are written may be operands that are read only where it is said.
/// </remarks>
internal interface IKernels : IProductKernels, IRowKernels, ILayerKernels, IExpertKernels, IMixerKernels, IDisposable
{
    /// <summary>Room for bytes, not cleared. The caller disposes of it.</summary>
    DeviceMemory Allocate(long bytes);

    /// <summary>The values of a tensor on the device, which must outlive the place.</summary>
    Place Of(torch.Tensor tensor);

    /// <summary>Copies from the host; the source may be used again at once.</summary>
    void Upload<T>(ReadOnlySpan<T> source, Place target)
        where T : unmanaged;

    /// <summary>Copies to the host once everything before is done.</summary>
    void Download<T>(Place source, Span<T> target)
        where T : unmanaged;

    /// <summary>Waits until everything is done.</summary>
    void Synchronize();

    /// <summary>Marks the end of what was queued so far; null where no operation reads the host's memory after it returned.</summary>
    IDeviceEvent? Record();

    /// <summary>Where layers of a streamed base are sent to; null where the host's memory is the device's, or everything stays there.</summary>
    ILayerRooms? Rooms => null;

    /// <summary>Sets <paramref name="count"/> elements.</summary>
    void Fill(Place target, long count, float value);

    /// <summary>Copies rows of <paramref name="width"/>.</summary>
    void Copy(Place source, long sourceStride, Place target, long targetStride, long width, long rows);
}
