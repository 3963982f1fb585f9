using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Numerics.Machine;

/// <summary>The counts of Windows, in bytes; null where a call fails.</summary>
internal static unsafe partial class WindowsMemory
{
    /// <summary>Memory of the machine.</summary>
    public static long? Physical() => Status() is { } status ? (long)status.TotalPhysical : null;

    /// <summary>What is free or can be freed at once.</summary>
    public static long? Available() => Status() is { } status ? (long)status.AvailablePhysical : null;

    /// <summary>Memory of the process that no other shares; mapped files are not in it.</summary>
    public static long Private()
    {
        using var process = Process.GetCurrentProcess();
        return process.PrivateMemorySize64;
    }

    /// <summary>The largest working set of the process.</summary>
    public static long Peak()
    {
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    private static MemoryStatus? Status()
    {
        var status = new MemoryStatus { Length = (uint)sizeof(MemoryStatus) };
        return GlobalMemoryStatus(&status) != 0 ? status : null;
    }

    [LibraryImport("kernel32", EntryPoint = "GlobalMemoryStatusEx")]
    private static partial int GlobalMemoryStatus(MemoryStatus* status);

    /// <summary>MEMORYSTATUSEX.</summary>
    private struct MemoryStatus
    {
        public uint Length;
        public uint Load;
        public ulong TotalPhysical;
        public ulong AvailablePhysical;
        public ulong TotalPageFile;
        public ulong AvailablePageFile;
        public ulong TotalVirtual;
        public ulong AvailableVirtual;
        public ulong AvailableExtendedVirtual;
    }
}
