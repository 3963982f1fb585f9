using System.Runtime.InteropServices;

namespace Trainer.Models;

/// <summary>Gives the pages of a mapped file back once they were read, so that loading does not count as resident memory.</summary>
internal static unsafe partial class MappedPages
{
    private const int DontNeed = 4;

    /// <summary>Drops whole pages inside a range of a read-only file mapping; they come back from the file when touched.</summary>
    public static void Drop(void* start, long length)
    {
        if (!OperatingSystem.IsLinux()) return;
        long page = Environment.SystemPageSize;
        var begin = ((long)start + page - 1) / page * page;
        var end = ((long)start + length) / page * page;
        if (end > begin) _ = Advise((void*)begin, (nuint)(end - begin), DontNeed);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
