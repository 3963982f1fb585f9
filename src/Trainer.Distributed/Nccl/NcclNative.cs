using System.Runtime.InteropServices;

namespace Trainer.Distributed.Nccl;

/// <summary>The functions of NCCL's C interface that a run needs; constants of nccl.h, the same since version 2.0 but where noted.</summary>
internal static unsafe partial class NcclNative
{
    /// <summary>The name that <see cref="NcclLibrary"/> resolves to the library it chose.</summary>
    public const string Library = "trainer-nccl";

    /// <summary>ncclUint8, ncclFloat32, ncclFloat64.</summary>
    public const int Byte = 1, Float = 7, Double = 8;

    /// <summary>ncclSum.</summary>
    public const int SumOperation = 0;

    /// <summary>ncclInProgress, since 2.14: no fault.</summary>
    public const int InProgress = 7;

    [LibraryImport(Library, EntryPoint = "ncclGetVersion")]
    public static partial int GetVersion(int* version);

    [LibraryImport(Library, EntryPoint = "ncclGetUniqueId")]
    public static partial int GetUniqueId(UniqueId* id);

    [LibraryImport(Library, EntryPoint = "ncclCommInitRank")]
    public static partial int CommInitRank(nint* communicator, int size, UniqueId id, int rank);

    [LibraryImport(Library, EntryPoint = "ncclAllReduce")]
    public static partial int AllReduce(nint send, nint receive, nuint count, int type, int operation, nint communicator, nint stream);

    [LibraryImport(Library, EntryPoint = "ncclBroadcast")]
    public static partial int Broadcast(nint send, nint receive, nuint count, int type, int root, nint communicator, nint stream);

    [LibraryImport(Library, EntryPoint = "ncclAllGather")]
    public static partial int AllGather(nint send, nint receive, nuint sendCount, int type, nint communicator, nint stream);

    [LibraryImport(Library, EntryPoint = "ncclCommGetAsyncError")]
    public static partial int CommGetAsyncError(nint communicator, int* error);

    [LibraryImport(Library, EntryPoint = "ncclCommAbort")]
    public static partial int CommAbort(nint communicator);

    [LibraryImport(Library, EntryPoint = "ncclCommDestroy")]
    public static partial int CommDestroy(nint communicator);

    [LibraryImport(Library, EntryPoint = "ncclGetErrorString")]
    public static partial nint GetErrorString(int result);

    /// <summary>ncclUniqueId: passed by value.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct UniqueId
    {
        /// <summary>NCCL_UNIQUE_ID_BYTES.</summary>
        public const int Bytes = 128;

        private fixed byte _bytes[Bytes];
    }
}
