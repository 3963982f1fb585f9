using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models.Native;

/// <summary>Tensors over memory that libtorch does not own, with any strides.</summary>
internal static unsafe partial class TorchMemory
{
    private const int Byte8 = 1;
    private const int Integer32 = 3;
    private const int Float32 = 6;
    private const int BFloat16 = 15;

    /// <summary>A float32 view; the memory must outlive it. The caller disposes it.</summary>
    /// <param name="data">First element.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="strides">In elements; 0 repeats.</param>
    public static Tensor View(float* data, ReadOnlySpan<long> shape, ReadOnlySpan<long> strides) => View(data, Float32, shape, strides);

    /// <summary>The same of signed bytes.</summary>
    public static Tensor View(sbyte* data, ReadOnlySpan<long> shape, ReadOnlySpan<long> strides) => View(data, Byte8, shape, strides);

    /// <summary>The same of 32-bit integers.</summary>
    public static Tensor View(int* data, ReadOnlySpan<long> shape, ReadOnlySpan<long> strides) => View(data, Integer32, shape, strides);

    /// <summary>The same of bfloat16 bits.</summary>
    public static Tensor View(ushort* data, ReadOnlySpan<long> shape, ReadOnlySpan<long> strides) => View(data, BFloat16, shape, strides);

    private static Tensor View(void* data, int type, ReadOnlySpan<long> shape, ReadOnlySpan<long> strides)
    {
        RuntimeHelpers.RunClassConstructor(typeof(torch).TypeHandle);
        IntPtr handle;
        int code;
        fixed (long* sizes = shape, steps = strides)
            code = CreateFromBlob(data, shape.Length, sizes, steps, 0, type, 0, 0, &handle);
        if (code != 0) throw new InvalidOperationException($"libtorch could not wrap memory of shape [{string.Join(", ", shape.ToArray())}] (code {code})");
        return Tensor.UnsafeCreateTensor(handle);
    }

    /// <summary>First element of a float32 CPU tensor.</summary>
    public static float* Pointer(Tensor tensor)
    {
        void* pointer;
        var code = DataPointer(tensor.Handle, &pointer);
        GC.KeepAlive(tensor);
        return code == 0 ? (float*)pointer : throw new InvalidOperationException($"libtorch gave no address (code {code})");
    }

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_create_tensor_from_blob")]
    private static partial int CreateFromBlob(void* data, long dimensions, long* sizes, long* strides, long offset, int type, int deviceType, int deviceIndex, IntPtr* result);

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_get_data_ptr")]
    private static partial int DataPointer(IntPtr tensor, void** result);
}
