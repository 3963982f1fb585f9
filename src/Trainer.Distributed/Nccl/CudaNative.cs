using System.Runtime.InteropServices;

namespace Trainer.Distributed.Nccl;

/// <summary>The functions of the CUDA driver's interface that a run needs: the driver is there wherever a card works. Stream 0 is the default stream,
/// libtorch's too.</summary>
internal static unsafe partial class CudaNative
{
    /// <summary>The name that <see cref="NcclLibrary"/> resolves to the driver.</summary>
    public const string Library = "trainer-cuda";

    /// <summary>CUDA_ERROR_NOT_READY: the stream still works.</summary>
    public const int NotReady = 600;

    [LibraryImport(Library, EntryPoint = "cuInit")]
    public static partial int Init(uint flags);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetCount")]
    public static partial int DeviceGetCount(int* count);

    [LibraryImport(Library, EntryPoint = "cuDeviceGet")]
    public static partial int DeviceGet(int* device, int ordinal);

    // The context that the runtime interface, and with it libtorch, uses too.
    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRetain")]
    public static partial int PrimaryContextRetain(nint* context, int device);

    [LibraryImport(Library, EntryPoint = "cuCtxSetCurrent")]
    public static partial int ContextSetCurrent(nint context);

    [LibraryImport(Library, EntryPoint = "cuMemAlloc_v2")]
    public static partial int Allocate(nint* address, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cuMemFree_v2")]
    public static partial int Free(nint address);

    [LibraryImport(Library, EntryPoint = "cuMemcpyHtoD_v2")]
    public static partial int CopyToDevice(nint target, void* source, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cuMemcpyDtoH_v2")]
    public static partial int CopyToHost(void* target, nint source, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cuStreamQuery")]
    public static partial int StreamQuery(nint stream);

    [LibraryImport(Library, EntryPoint = "cuGetErrorString")]
    public static partial int GetErrorString(int code, nint* text);
}
