using System.Runtime.InteropServices;

namespace Trainer.Engine.Native;

/// <summary>Keeps the process's resident size near what is live: settings of the C library's allocator, which libtorch uses.</summary>
/// <remarks>
/// glibc keeps freed blocks in its heaps: after 2 GB of freed tensors 2 GB stay resident until malloc_trim. A low mmap threshold prevents that but costs
/// 40 % of the step time in page faults, so it is not set; trimming after loading and after evaluation costs nothing. On other C libraries all of this does
/// nothing.
/// </remarks>
public static partial class ResidentMemory
{
    private const int ArenaMax = -8;
    private const int MmapThreshold = -3;

    /// <summary>Call once before libtorch is used: one malloc arena a process (threads of a pool would each keep their own), blocks from 32 MiB on returned to
    /// the system when freed.</summary>
    /// <returns>Whether the settings took.</returns>
    public static bool Configure() => OnGlibc(() => MallOpt(ArenaMax, 2) != 0 && MallOpt(MmapThreshold, 32 << 20) != 0);

    /// <summary>Returns freed heap pages to the system; takes milliseconds.</summary>
    /// <returns>Whether any memory went back.</returns>
    public static bool Trim() => OnGlibc(() => MallocTrim(0) != 0);

    private static bool OnGlibc(Func<bool> call)
    {
        if (!OperatingSystem.IsLinux()) return false;
        try
        {
            return call();
        }
        catch (EntryPointNotFoundException)
        {
            return false; // musl has neither function
        }
        catch (DllNotFoundException)
        {
            return false;
        }
    }

    [LibraryImport("libc.so.6", EntryPoint = "mallopt")]
    private static partial int MallOpt(int parameter, int value);

    [LibraryImport("libc.so.6", EntryPoint = "malloc_trim")]
    private static partial int MallocTrim(nuint padding);
}
