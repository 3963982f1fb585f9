using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>The parts of libtorch's own C interface that TorchSharp does not expose.</summary>
internal static unsafe partial class TorchNative
{
    /// <summary>A tensor over memory it does not own; the memory must outlive it.</summary>
    /// <param name="data">First element.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Row-major shape.</param>
    public static Tensor FromBlob(void* data, ScalarType type, params ReadOnlySpan<long> shape)
    {
        // The native library must be loaded (and its dependencies found) by TorchSharp before the first call by name.
        RuntimeHelpers.RunClassConstructor(typeof(torch).TypeHandle);
        var strides = stackalloc long[Math.Max(1, shape.Length)];
        long step = 1;
        for (var d = shape.Length - 1; d >= 0; d--)
        {
            strides[d] = step;
            step *= shape[d];
        }
        IntPtr handle;
        int rc;
        fixed (long* sizes = shape)
            rc = CreateTensorFromBlob(data, shape.Length, sizes, strides, 0, (int)type, 0, 0, &handle);
        if (rc != 0) throw new InvalidOperationException($"libtorch could not wrap {step} elements of {type} (code {rc})");
        return Tensor.UnsafeCreateTensor(handle);
    }

    /// <summary>Address of a CPU tensor's first element.</summary>
    public static void* DataPointer(Tensor tensor)
    {
        void* pointer;
        var rc = GetDataPointer(tensor.Handle, &pointer);
        if (rc != 0) throw new InvalidOperationException($"libtorch gave no data pointer (code {rc})");
        return pointer;
    }

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_create_tensor_from_blob")]
    private static partial int CreateTensorFromBlob(void* data, long dimensions, long* sizes, long* strides, long offset, int type, int deviceType,
    int deviceIndex, IntPtr* result);

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_get_data_ptr")]
    private static partial int GetDataPointer(IntPtr tensor, void** result);
}
