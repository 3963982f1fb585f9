using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine.Native;

/// <summary>Tensors over memory that libtorch does not own, with any strides.</summary>
internal static unsafe partial class TorchMemory
{
    /// <summary>A view of floats, doubles, 32-bit integers, bytes, or the bits of bfloat16 (ushort); the memory must outlive it. The caller disposes
    /// it.</summary>
    /// <param name="data">First element.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="strides">In elements; 0 repeats.</param>
    public static Tensor View<T>(T* data, ReadOnlySpan<long> shape, ReadOnlySpan<long> strides)
        where T : unmanaged
    {
        RuntimeHelpers.RunClassConstructor(typeof(torch).TypeHandle);
        IntPtr handle;
        int code;
        fixed (long* sizes = shape, steps = strides)
            code = CreateFromBlob(data, shape.Length, sizes, steps, 0, TypeOf<T>(), 0, 0, &handle);
        if (code != 0) throw new InvalidOperationException($"libtorch could not wrap memory of shape [{string.Join(", ", shape.ToArray())}] (code {code})");
        return Tensor.UnsafeCreateTensor(handle);
    }

    /// <summary>The same memory with elements of another type, on any device. The caller disposes of it.</summary>
    public static Tensor Retyped(Tensor tensor, ScalarType type)
    {
        IntPtr handle;
        var code = ViewType(tensor.Handle, (int)type, &handle);
        GC.KeepAlive(tensor);
        return code == 0 ? Tensor.UnsafeCreateTensor(handle)
            : throw new InvalidOperationException($"libtorch could not see {tensor.dtype} as {type} (code {code})");
    }

    // As libtorch numbers its types.
    private static int TypeOf<T>() => default(T) switch
    {
        byte => 0,
        sbyte => 1,
        int => 3,
        float => 6,
        double => 7,
        ushort => 15,
        _ => throw new ArgumentException($"no tensor type for {typeof(T).Name}"),
    };

    /// <summary>First element of a float32 CPU tensor.</summary>
    public static float* Pointer(Tensor tensor)
    {
        void* pointer;
        var code = DataPointer(tensor.Handle, &pointer);
        GC.KeepAlive(tensor);
        return code == 0 ? (float*)pointer : throw new InvalidOperationException($"libtorch gave no address (code {code})");
    }

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_create_tensor_from_blob")]
    private static partial int CreateFromBlob(void* data, long dimensions, long* sizes, long* strides, long offset, int type, int deviceType, int deviceIndex,
    IntPtr* result);

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_view_dtype")]
    private static partial int ViewType(IntPtr tensor, int type, IntPtr* result);

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_get_data_ptr")]
    private static partial int DataPointer(IntPtr tensor, void** result);
}
