using System.Runtime.InteropServices;
using System.Text;

namespace Trainer.Distributed.Mpi;

/// <summary>Finds and loads the MPI library of this machine, and knows which of the three binary interfaces it has.</summary>
internal static unsafe class MpiLibrary
{
    /// <summary>Environment variable: the library's path, where the system does not find the right one.</summary>
    public const string PathVariable = "TRAINER_MPI_LIBRARY";

    private static readonly string[] OpenMpiFirst = ["libmpi_abi.so.0", "libmpi.so.40", "libmpich.so.12", "libmpi.so.12", "libmpi.so"];
    private static readonly string[] MpichFirst = ["libmpi_abi.so.0", "libmpich.so.12", "libmpi.so.12", "libmpi.so.40", "libmpi.so"];

    /// <summary>Loads the library.</summary>
    /// <exception cref="MissingLibraryException">None is there, or what is there is no MPI.</exception>
    public static MpiAbi Load()
    {
        // Both libraries' transports take over signals that .NET lives by: a caught null reference would end the process.
        _ = MpiNative.SetEnvironment("UCX_ERROR_SIGNALS", "", 0);
        _ = MpiNative.SetEnvironment("OMPI_MCA_opal_signal", "", 0);
        var (library, name) = Open();
        NativeNames.Bind(MpiNative.Library, library);
        if (!NativeLibrary.TryGetExport(library, "MPI_Get_library_version", out _) || !NativeLibrary.TryGetExport(library, "MPI_Iallreduce", out _))
            throw new MissingLibraryException($"'{name}' is no MPI library; leave {PathVariable} out, or set it to the path of libmpi");
        return MpiAbi.Of(library, Kind(library, name));
    }

    /// <summary>The library's own name and version, one line.</summary>
    public static string Version()
    {
        var text = stackalloc byte[8192];
        int length;
        _ = MpiNative.GetLibraryVersion(text, &length);
        return Encoding.UTF8.GetString(text, Math.Clamp(length, 0, 8192)).TrimEnd('\0').Split('\n')[0].Trim();
    }

    private static (nint Library, string Name) Open()
    {
        if (Environment.GetEnvironmentVariable(PathVariable) is { Length: > 0 } path)
            return NativeLibrary.TryLoad(path, out var named)
                ? (named, path)
                : throw new MissingLibraryException($"{PathVariable} '{path}' cannot be loaded as a library; set it to the path of libmpi, or leave it out");
        var names = Launcher.IsHydra() ? MpichFirst : OpenMpiFirst;
        foreach (var name in names)
            if (NativeLibrary.TryLoad(name, out var found)) return (found, name);
        throw new MissingLibraryException($"no MPI library is here (tried {string.Join(", ", names)}): install the one of your launcher (apt-get install "
            + $"openmpi-bin, or mpich), or set {PathVariable} to its path; --distributed off trains in one process");
    }

    // dlsym searches a library's dependencies too: the standard interface is told by its name, or by what it says of itself, before Open MPI's symbol is looked
    // for.
    private static MpiKind Kind(nint library, string name)
    {
        if (name.Contains("mpi_abi", StringComparison.Ordinal) || IsStandard(library)) return MpiKind.Standard;
        if (NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out _)) return MpiKind.OpenMpi;
        var version = Version();
        string[] family = ["MPICH", "MVAPICH", "Intel(R) MPI", "CRAY", "Microsoft MPI"];
        return family.Any(known => version.Contains(known, StringComparison.OrdinalIgnoreCase))
            ? MpiKind.Mpich
            : throw new MissingLibraryException($"MPI library '{name}' ('{version}') is none of Open MPI, MPICH and its relatives, or the standard interface "
                + $"of MPI 5; set {PathVariable} to one of these");
    }

    // A library of MPI 5 that has an interface of its own answers -1.
    private static bool IsStandard(nint library)
    {
        if (!NativeLibrary.TryGetExport(library, "MPI_Abi_get_version", out var address)) return false;
        int major = -1, minor = -1;
        return ((delegate* unmanaged<int*, int*, int>)address)(&major, &minor) == 0 && major > 0;
    }
}
