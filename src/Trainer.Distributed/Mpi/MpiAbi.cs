using System.Runtime.InteropServices;

namespace Trainer.Distributed.Mpi;

/// <summary>
/// The constants of a library's binary interface. Every handle and pointer is passed in a pointer-sized argument: a callee that takes a 32-bit
/// handle reads the low half of the register (x86-64 System V and AArch64 calling conventions, little-endian).
/// </summary>
/// <remarks>Open MPI 4 and 5: addresses of exported symbols. MPICH 4: mpi.h. MPI 5: mpi.h of the MPI Forum's ABI stubs.</remarks>
internal sealed record MpiAbi
{
    /// <summary>Which interface it is.</summary>
    public required MpiKind Kind { get; init; }

    public required nint World { get; init; }

    public required nint Float { get; init; }

    public required nint Double { get; init; }

    public required nint Byte { get; init; }

    public required nint Sum { get; init; }

    public required nint ErrorsReturn { get; init; }

    public required nint InfoNull { get; init; }

    /// <summary>MPI_IN_PLACE.</summary>
    public required nint InPlace { get; init; }

    /// <summary>MPI_STATUS_IGNORE.</summary>
    public required nint StatusIgnore { get; init; }

    /// <summary>MPI_COMM_TYPE_SHARED.</summary>
    public required int Shared { get; init; }

    /// <summary>MPI_THREAD_SERIALIZED.</summary>
    public required int Serialized { get; init; }

    /// <summary>The constants of a loaded library.</summary>
    /// <param name="library">The library.</param>
    /// <param name="kind">Its interface.</param>
    public static MpiAbi Of(nint library, MpiKind kind) => kind switch
    {
        MpiKind.OpenMpi => new MpiAbi
        {
            Kind = kind,
            World = NativeLibrary.GetExport(library, "ompi_mpi_comm_world"),
            Float = NativeLibrary.GetExport(library, "ompi_mpi_float"),
            Double = NativeLibrary.GetExport(library, "ompi_mpi_double"),
            Byte = NativeLibrary.GetExport(library, "ompi_mpi_byte"),
            Sum = NativeLibrary.GetExport(library, "ompi_mpi_op_sum"),
            ErrorsReturn = NativeLibrary.GetExport(library, "ompi_mpi_errors_return"),
            InfoNull = NativeLibrary.GetExport(library, "ompi_mpi_info_null"),
            InPlace = 1, StatusIgnore = 0, Shared = 0, Serialized = 2,
        },
        MpiKind.Mpich => new MpiAbi
        {
            Kind = kind,
            World = 0x44000000, Float = 0x4c00040a, Double = 0x4c00080b, Byte = 0x4c00010d, Sum = 0x58000003, ErrorsReturn = 0x54000001, InfoNull = 0x1c000000,
            InPlace = -1, StatusIgnore = 1, Shared = 1, Serialized = 2,
        },
        _ => new MpiAbi
        {
            Kind = kind,
            World = 0x101, Float = 0x210, Double = 0x214, Byte = 0x247, Sum = 0x21, ErrorsReturn = 0x142, InfoNull = 0x130,
            InPlace = 1, StatusIgnore = 0, Shared = 221, Serialized = 2048,
        },
    };
}
