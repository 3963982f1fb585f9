using TorchSharp;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>
/// The kernels as libtorch operations, on any device that it has; nothing here knows which. Frozen matrices stay on the device as <see cref="DeviceWeights"/>
/// holds them.
/// </summary>
/// <remarks>Each operation has a scope of its own, so that what it makes on the way is gone when it returns.</remarks>
internal sealed unsafe partial class TorchKernels : IKernels
{
    private readonly FastShape _shape;
    private readonly PanelPlan _panels;
    private readonly DeviceHeap _heap;
    private readonly Device _device;
    private readonly bool _isNarrow;
    private readonly DeviceWeights _weights;
    private readonly DeviceRooms? _rooms;
    private readonly CudaCopies? _copies;

    /// <summary>Kernels for one model.</summary>
    /// <param name="shape">The model.</param>
    /// <param name="compute">Type of the frozen products.</param>
    /// <param name="panels">How frozen matrices are cut.</param>
    /// <param name="device">A device of libtorch.</param>
    /// <param name="keepsWeights">Frozen matrices that were sent stay on the device; a streamed base's take turns in rooms.</param>
    /// <param name="limit">Most bytes to keep on the device; null is what it gives.</param>
    /// <param name="driver">Library whose queue of copies streamed layers go by; null is that of NVIDIA's driver on one of their cards, else none.</param>
    /// <exception cref="ModelException">8-bit products are asked for.</exception>
    public TorchKernels(FastShape shape, ComputeKind compute, PanelPlan panels, string device, bool keepsWeights, long? limit = null,
        string? driver = null)
    {
        if (compute == ComputeKind.Int8) throw new ModelException("int8 is computed by the processor's own kernels alone; take float32 or bfloat16");
        (_shape, _panels, _device, _isNarrow) = (shape, panels, new Device(device), compute == ComputeKind.BFloat16);
        _heap = new DeviceHeap(_device, limit);
        _weights = new DeviceWeights(_heap, keepsWeights);
        if (keepsWeights) return;
        if (_device.type == DeviceType.CUDA) driver ??= ComputeDevice.Driver;
        if (driver is not null) _copies = new CudaCopies(Math.Max(0, _device.index), driver);
        _rooms = new DeviceRooms(_heap, _weights, _copies);
    }

    // What libtorch computes in float32 needs no wider room, and Apple's graphics have none.
    public ElementType LossType => ElementType.Float32;

    /// <summary>What is kept on the device.</summary>
    public DeviceHeap Heap => _heap;

    public ILayerRooms? Rooms => _rooms;

    public DeviceMemory Allocate(long bytes) => new TensorMemory(bytes, _heap, DeviceUse.Buffers);

    public Place Of(Tensor tensor) => new(new TensorMemory(tensor), 0);

    public void Upload<T>(ReadOnlySpan<T> source, Place target)
        where T : unmanaged
    {
        if (source.IsEmpty) return;
        using var scope = NewDisposeScope();
        fixed (T* values = source) Row(target, source.Length).copy_(TorchMemory.View(values, [source.Length], [1]));
    }

    public void Download<T>(Place source, Span<T> target)
        where T : unmanaged
    {
        if (target.IsEmpty) return;
        using var scope = NewDisposeScope();
        fixed (T* values = target) TorchMemory.View(values, [target.Length], [1]).copy_(Row(source, target.Length));
    }

    public void Synchronize()
    {
        if (_device.type == DeviceType.CUDA) cuda.synchronize(_device);
        else if (_device.type != DeviceType.CPU) zeros(1, device: _device).cpu().Dispose();
    }

    // Copies from memory that is not pinned have read it when they return; only the rooms of streamed layers are read later.
    public IDeviceEvent? Record() => _rooms is null || _device.type == DeviceType.CPU ? null : new Everything(this);

    public void Dispose()
    {
        _weights.Dispose();
        _copies?.Dispose();
    }

    public void Fill(Place target, long count, float value)
    {
        using var scope = NewDisposeScope();
        Row(target, count).fill_(value);
    }

    public void Copy(Place source, long sourceStride, Place target, long targetStride, long width, long rows)
    {
        using var scope = NewDisposeScope();
        Rows(target, rows, width, targetStride).copy_(Rows(source, rows, width, sourceStride));
    }

    // libtorch gives no events: whoever waits for one waits for all that was queued until then, which is more and never less.
    private sealed class Everything(TorchKernels kernels) : IDeviceEvent
    {
        public void Wait() => kernels.Synchronize();
    }

    private static Tensor Row(Place place, long count) => TensorMemory.View(place, [count], [1]);

    private static Tensor Rows(Place place, long rows, long width, long stride) => TensorMemory.View(place, [rows, width], [stride, 1]);

    private static Tensor Rows(Place place, long rows, long width) => Rows(place, rows, width, width);

    // Heads of consecutive tokens: (heads, tokens, size).
    private static Tensor Heads(Place place, long tokens, long heads, long stride, long size)
        => TensorMemory.View(place, [heads, tokens, size], [size, stride, 1]);
}
