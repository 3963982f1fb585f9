using System.Runtime.InteropServices;

namespace Trainer.Engine.Weights;

/// <summary>What the system is told of pages: which of a mapped file are needed ahead of use and which no more, and which memory wants large ones.</summary>
internal static unsafe partial class MappedPages
{
    private const int WillNeedAdvice = 3;
    private const int DontNeed = 4;
    private const int HugePage = 14;
    private const int PopulateRead = 22;
    private const int BadAddress = 14;

    /// <summary>Drops whole pages inside a range of a read-only file mapping; they come back from the file when touched.</summary>
    public static void Drop(void* start, long length)
    {
        if (!OperatingSystem.IsLinux()) return;
        long page = Environment.SystemPageSize;
        var begin = ((long)start + page - 1) / page * page;
        var end = ((long)start + length) / page * page;
        if (end > begin) _ = Advise((void*)begin, (nuint)(end - begin), DontNeed);
    }

    /// <summary>Asks for large pages under memory of our own, which begins at one.</summary>
    public static void PreferLarge(void* start, long length)
    {
        if (OperatingSystem.IsLinux()) _ = Advise(start, (nuint)length, HugePage);
    }

    /// <summary>Starts reading a range into the page cache and returns at once.</summary>
    public static void WillNeed(void* start, long length)
    {
        if (!OperatingSystem.IsLinux() || length <= 0) return;
        var begin = First(start);
        _ = Advise((void*)begin, (nuint)((long)start + length - begin), WillNeedAdvice);
    }

    /// <summary>Reads a range and maps it.</summary>
    /// <returns>False where the file no longer has it or the disk does not give it; touching it would end the process.</returns>
    public static bool TryPopulate(void* start, long length)
    {
        if (OperatingSystem.IsLinux())
        {
            var begin = First(start);
            if (Advise((void*)begin, (nuint)((long)start + length - begin), PopulateRead) == 0) return true;
            if (Marshal.GetLastPInvokeError() == BadAddress) return false;
            // Kernels before 5.14 do not know it: the touch alone does it there.
            WillNeed(start, length);
        }
        byte sum = 0;
        for (long at = 0; at < length; at += Environment.SystemPageSize) sum += ((byte*)start)[at];
        GC.KeepAlive(sum);
        return true;
    }

    private static long First(void* start) => (long)start / Environment.SystemPageSize * Environment.SystemPageSize;

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int Advise(void* start, nuint length, int advice);
}
