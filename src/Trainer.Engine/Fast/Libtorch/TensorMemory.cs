using TorchSharp;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>Device memory that is a libtorch tensor: a block of its own, or a tensor of someone else's.</summary>
internal sealed class TensorMemory : DeviceMemory
{
    private readonly Tensor _tensor;
    private readonly DeviceHeap? _heap;
    private readonly DeviceUse _use;

    /// <summary>A block, not cleared.</summary>
    public TensorMemory(long bytes, DeviceHeap heap, DeviceUse use)
        : base(bytes) => (_tensor, _heap, _use) = (heap.Take(use, Math.Max(1, (bytes + sizeof(long) - 1) / sizeof(long)), ScalarType.Int64), heap, use);

    /// <summary>A contiguous tensor, whose owner keeps it alive.</summary>
    public TensorMemory(Tensor tensor)
        : base(tensor.numel() * tensor.ElementSize) => _tensor = tensor;

    /// <summary>A view of elements; it belongs to the scope of the caller.</summary>
    /// <param name="place">The first element.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="strides">In elements of the place's type.</param>
    public static Tensor View(Place place, long[] shape, long[] strides)
    {
        var tensor = ((TensorMemory)place.Memory)._tensor;
        var wanted = TypeOf(place.Type);
        if (tensor.dtype == wanted) return tensor.as_strided(shape, strides, tensor.storage_offset() + place.Offset);
        using var seen = TorchMemory.Retyped(tensor, wanted);
        return seen.as_strided(shape, strides, seen.storage_offset() + place.Offset);
    }

    /// <summary>Its address on the device.</summary>
    public unsafe IntPtr Address => (IntPtr)TorchMemory.Pointer(_tensor);

    /// <summary>The whole block as bytes; it belongs to the scope of the caller.</summary>
    public Tensor AsBytes() => TorchMemory.Retyped(_tensor, ScalarType.Byte);

    /// <summary>Elements from a place to the end of its block.</summary>
    public static long Left(Place place) => place.Memory.Bytes / Place.SizeOf(place.Type) - place.Offset;

    public override void Dispose()
    {
        _heap?.Give(_use, _tensor);
    }

    private static ScalarType TypeOf(ElementType type) => type switch
    {
        ElementType.Float32 => ScalarType.Float32,
        ElementType.Float64 => ScalarType.Float64,
        ElementType.Int32 => ScalarType.Int32,
        _ => ScalarType.Byte,
    };
}
