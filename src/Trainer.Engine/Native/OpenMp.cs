using System.Runtime.InteropServices;

namespace Trainer.Engine.Native;

/// <summary>The runtime of libtorch's threads: which one is loaded, and how its threads wait for work.</summary>
/// <remarks>
/// OpenMP's threads spin at barriers by default. Beside other busy processes the one who works then waits for the ones who spin: on two cores
/// beside two busy processes a run took 22.6 s with spinning threads and 10.7 s with sleeping ones; alone both take the same.
/// The runtime reads its environment once, as the library is loaded, from the C environment, which .NET's own setter does not reach.
/// </remarks>
public static partial class OpenMp
{
    /// <summary>Threads sleep while they wait. What the user set in the environment stays. Call it before libtorch is loaded; later it does nothing.</summary>
    public static void Prepare()
    {
        if (OperatingSystem.IsWindows()) return;
        SetIfUnset("OMP_WAIT_POLICY", "PASSIVE", 0); // GNU's and LLVM's runtime
        SetIfUnset("KMP_BLOCKTIME", "0", 0);         // LLVM's, which otherwise spins 200 ms first
        // On macOS libtorch asks for Homebrew's runtime by its full path. The one beside the program has that very install name, so it serves once it is
        // loaded.
        if (OperatingSystem.IsMacOS()) _ = NativeLibrary.TryLoad(Path.Combine(AppContext.BaseDirectory, "libomp.dylib"), out _);
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetIfUnset(string name, string value, int overwrite);
}
