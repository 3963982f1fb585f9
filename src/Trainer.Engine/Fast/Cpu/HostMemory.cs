using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Memory of the processor: an aligned block of its own, or one that belongs to a tensor.</summary>
internal sealed unsafe class HostMemory : DeviceMemory
{
    private readonly NativeBlock? _own;
    private readonly byte* _start;

    /// <summary>A block, not cleared. Pages are touched by who uses them, so unused tails cost no resident memory.</summary>
    public HostMemory(long bytes)
        : base(bytes)
    {
        _own = new NativeBlock(bytes);
        _start = _own.Start;
    }

    /// <summary>Memory of someone else, who keeps it alive.</summary>
    public HostMemory(void* start, long bytes)
        : base(bytes) => _start = (byte*)start;

    /// <summary>First byte of a block that is the processor's.</summary>
    public static byte* StartOf(DeviceMemory memory) => ((HostMemory)memory)._start;

    /// <summary>The element at a place, or null where there is none.</summary>
    public static T* At<T>(Place place)
        where T : unmanaged
        => place.IsNone ? null : (T*)StartOf(place.Memory) + place.Offset;

    public override void Dispose() => _own?.Dispose();
}
