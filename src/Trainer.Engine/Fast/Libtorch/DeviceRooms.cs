using TorchSharp;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>Rooms of a device that layers of a streamed base take turns in.</summary>
/// <param name="heap">The device's memory.</param>
/// <param name="weights">Who decodes what lies in them.</param>
/// <param name="copies">The queue of copies; null where copies go the way of the operations, in order with them.</param>
internal sealed unsafe class DeviceRooms(DeviceHeap heap, DeviceWeights weights, CudaCopies? copies) : ILayerRooms
{
    public NativeBlock Pin(long bytes)
    {
        var block = NativeBlock.OnLargePages(bytes);
        copies?.Pin(block.Start, block.Length);
        return block;
    }

    public void Unpin(NativeBlock block)
    {
        copies?.Unpin(block.Start);
        block.Dispose();
    }

    public DeviceMemory Room(long bytes) => new TensorMemory(bytes, heap, DeviceUse.Rooms);

    // Without a queue of its own, in order with the operations of the device: the copy has read the host's memory when it returns.
    public IDeviceEvent? Send(NativeBlock source, DeviceMemory room, long bytes)
    {
        if (copies is not null) return copies.Send(source.Start, room, ((TensorMemory)room).Address, bytes);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        ((TensorMemory)room).AsBytes().narrow(0, 0, bytes).copy_(TorchMemory.View(source.Start, [bytes], [1]));
        return null;
    }

    public void After(IDeviceEvent? copy)
    {
        if (copy is not null) copies?.After(copy);
    }

    public void Place(IFrozenWeight weight, DeviceMemory room, IReadOnlyList<long> parts)
    {
        using var scope = NewDisposeScope();
        weights.Place(weight, ((TensorMemory)room).AsBytes(), parts);
    }

    public void Lift(IFrozenWeight weight) => weights.Lift(weight);

    public void Keep(IFrozenWeight weight) => weights.Keep(weight);
}
