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
    private readonly Device _device;
    private readonly bool _isNarrow;
    private readonly DeviceWeights _weights;

    /// <summary>Kernels for one model.</summary>
    /// <param name="shape">The model.</param>
    /// <param name="compute">Type of the frozen products.</param>
    /// <param name="panels">How frozen matrices are cut.</param>
    /// <param name="device">A device of libtorch.</param>
    /// <param name="keepsWeights">Frozen matrices that were sent stay on the device; a streamed base's are sent each time.</param>
    /// <exception cref="ModelException">8-bit products are asked for.</exception>
    public TorchKernels(FastShape shape, ComputeKind compute, PanelPlan panels, string device, bool keepsWeights)
    {
        if (compute == ComputeKind.Int8) throw new ModelException("int8 is computed by the processor's own kernels alone; take float32 or bfloat16");
        (_shape, _panels, _device, _isNarrow) = (shape, panels, new Device(device), compute == ComputeKind.BFloat16);
        _weights = new DeviceWeights(_device, keepsWeights);
    }

    // What libtorch computes in float32 needs no wider room, and Apple's graphics have none.
    public ElementType LossType => ElementType.Float32;

    public DeviceMemory Allocate(long bytes) => new TensorMemory(bytes, _device);

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
    }

    // Copies from memory that is not pinned have read it when they return, and nothing else reads the host's.
    public IDeviceEvent? Record() => null;

    public void Dispose() => _weights.Dispose();

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

    private static Tensor Row(Place place, long count) => TensorMemory.View(place, [count], [1]);

    private static Tensor Rows(Place place, long rows, long width, long stride) => TensorMemory.View(place, [rows, width], [stride, 1]);

    private static Tensor Rows(Place place, long rows, long width) => Rows(place, rows, width, width);

    // Heads of consecutive tokens: (heads, tokens, size).
    private Tensor Heads(Place place, long tokens, long heads, long stride)
        => TensorMemory.View(place, [heads, tokens, _shape.HeadSize], [_shape.HeadSize, stride, 1]);
}
