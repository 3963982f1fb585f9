using System.Runtime.InteropServices;

namespace Trainer.Distributed.Nccl;

/// <summary>Finds and loads NCCL and the driver of the cards, and says exactly what is missing.</summary>
internal static unsafe class NcclLibrary
{
    /// <summary>Environment variable: NCCL's path, where the system does not find the right one.</summary>
    public const string PathVariable = "TRAINER_NCCL_LIBRARY";

    private const string Instead = "--distributed mpi trains over mpirun without cards, --distributed off alone";

    /// <summary>Loads both and counts the cards.</summary>
    /// <param name="nccl">NCCL's path; null takes the variable's, or what the system finds.</param>
    /// <param name="driver">The driver's path; null takes the system's.</param>
    /// <returns>How many cards the driver sees, at least 1.</returns>
    /// <exception cref="MissingLibraryException">No driver, no card or no NCCL.</exception>
    public static int Load(string? nccl = null, string? driver = null)
    {
        driver ??= "libcuda.so.1";
        if (!NativeLibrary.TryLoad(driver, out var cuda))
            throw new MissingLibraryException($"--distributed nccl needs NVIDIA cards, and their driver is not here ({driver} cannot be loaded); {Instead}");
        if (!NativeLibrary.TryGetExport(cuda, "cuInit", out _)) throw new MissingLibraryException($"'{driver}' is no driver of NVIDIA cards; {Instead}");
        NativeNames.Bind(CudaNative.Library, cuda);
        if (CudaNative.Init(0) is var code and not 0)
            throw new MissingLibraryException($"--distributed nccl needs NVIDIA cards, and their driver does not start (cuInit gives {code}); {Instead}");
        var count = 0;
        _ = CudaNative.DeviceGetCount(&count);
        if (count == 0) throw new MissingLibraryException($"--distributed nccl needs NVIDIA cards, and the driver sees none; {Instead}");
        nccl ??= Environment.GetEnvironmentVariable(PathVariable) is { Length: > 0 } named ? named : null;
        string[] names = nccl is null ? ["libnccl.so.2", "libnccl.so"] : [nccl];
        nint library = 0;
        if (!names.Any(name => NativeLibrary.TryLoad(name, out library)))
            throw new MissingLibraryException($"NCCL is not here (tried {string.Join(", ", names)}): install libnccl2, or "
                + $"set {PathVariable} to its path; {Instead}");
        if (!NativeLibrary.TryGetExport(library, "ncclCommInitRank", out _))
            throw new MissingLibraryException($"'{names[^1]}' is no NCCL library; set {PathVariable} to the path of libnccl.so.2");
        NativeNames.Bind(NcclNative.Library, library);
        return count;
    }

    /// <summary>NCCL's version as its documents write it: 2.21.5. Up to 2.8 the number had one digit less.</summary>
    public static string Version()
    {
        int code;
        _ = NcclNative.GetVersion(&code);
        return code < 10000 ? $"{code / 1000}.{code / 100 % 10}.{code % 100}" : $"{code / 10000}.{code / 100 % 100}.{code % 100}";
    }
}
