using System.Runtime.InteropServices;

namespace Trainer.Distributed.Mpi;

/// <summary>The functions of MPI's C interface that a run needs. A request is a slot of eight bytes, zeroed first.</summary>
internal static unsafe partial class MpiNative
{
    /// <summary>The name that <see cref="MpiLibrary"/> resolves to the library it chose.</summary>
    public const string Library = "trainer-mpi";

    [LibraryImport(Library, EntryPoint = "MPI_Get_library_version")]
    public static partial int GetLibraryVersion(byte* text, int* length);

    [LibraryImport(Library, EntryPoint = "MPI_Init_thread")]
    public static partial int InitThread(nint argc, nint argv, int required, int* provided);

    [LibraryImport(Library, EntryPoint = "MPI_Finalize")]
    public static partial int Finalize();

    [LibraryImport(Library, EntryPoint = "MPI_Abort")]
    public static partial int Abort(nint communicator, int code);

    [LibraryImport(Library, EntryPoint = "MPI_Comm_rank")]
    public static partial int CommRank(nint communicator, int* rank);

    [LibraryImport(Library, EntryPoint = "MPI_Comm_size")]
    public static partial int CommSize(nint communicator, int* size);

    [LibraryImport(Library, EntryPoint = "MPI_Comm_split_type")]
    public static partial int CommSplitType(nint communicator, int type, int key, nint info, nint* result);

    [LibraryImport(Library, EntryPoint = "MPI_Comm_free")]
    public static partial int CommFree(nint* communicator);

    [LibraryImport(Library, EntryPoint = "MPI_Comm_set_errhandler")]
    public static partial int CommSetErrorHandler(nint communicator, nint handler);

    [LibraryImport(Library, EntryPoint = "MPI_Error_string")]
    public static partial int ErrorString(int code, byte* text, int* length);

    [LibraryImport(Library, EntryPoint = "MPI_Iallreduce")]
    public static partial int StartAllReduce(nint send, void* receive, int count, nint type, nint operation, nint communicator, nint* request);

    [LibraryImport(Library, EntryPoint = "MPI_Ibcast")]
    public static partial int StartBroadcast(void* buffer, int count, nint type, int root, nint communicator, nint* request);

    [LibraryImport(Library, EntryPoint = "MPI_Iallgather")]
    public static partial int StartAllGather(void* send, int sendCount, nint sendType, void* receive, int receiveCount, nint receiveType, nint communicator,
    nint* request);

    [LibraryImport(Library, EntryPoint = "MPI_Ibarrier")]
    public static partial int StartBarrier(nint communicator, nint* request);

    [LibraryImport(Library, EntryPoint = "MPI_Test")]
    public static partial int Test(nint* request, int* isDone, nint status);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetEnvironment(string name, string value, int overwrite);
}
