using System.Runtime.InteropServices;

namespace Trainer.Numerics.Machine;

/// <summary>The counts of macOS's kernel, in bytes; null where a call fails.</summary>
/// <remarks>Layouts: vm_statistics64 (mach/vm_statistics.h) and task_vm_info (mach/task_info.h), whose fields keep their places from release to
/// release.</remarks>
internal static unsafe partial class MacMemory
{
    // Flavours, and the sizes asked for in units of 4 bytes: the kernel fills no more than is asked for.
    private const int HostVmInfo64 = 4;
    private const int HostVmInfo64Units = 38;
    private const int TaskVmInfo = 22;
    private const int TaskVmInfoUnits = 36;

    /// <summary>sysctl hw.memsize.</summary>
    public static long? Physical()
    {
        long bytes = 0;
        nuint size = sizeof(long);
        return SysctlByName("hw.memsize", &bytes, &size, null, 0) == 0 ? bytes : null;
    }

    /// <summary>Pages that are free, inactive or purgeable.</summary>
    public static long? Available()
    {
        var counts = stackalloc uint[HostVmInfo64Units];
        var units = HostVmInfo64Units;
        if (HostStatistics64(MachHostSelf(), HostVmInfo64, counts, &units) != 0) return null;
        const int Free = 0, Inactive = 2, Purgeable = 22;
        return ((long)counts[Free] + counts[Inactive] + counts[Purgeable]) * Environment.SystemPageSize;
    }

    /// <summary>Memory of the process that no file backs, compressed pages included.</summary>
    public static long? Anonymous()
    {
        const int Internal = 6, Compressed = 15;
        var counts = stackalloc long[TaskVmInfoUnits / 2];
        return Task(counts) ? counts[Internal] + counts[Compressed] : null;
    }

    /// <summary>The largest resident size of the process.</summary>
    public static long? Peak()
    {
        const int ResidentPeak = 3;
        var counts = stackalloc long[TaskVmInfoUnits / 2];
        return Task(counts) ? counts[ResidentPeak] : null;
    }

    private static bool Task(long* counts)
    {
        var units = TaskVmInfoUnits;
        return NativeLibrary.TryLoad("libSystem.dylib", out var system) && NativeLibrary.TryGetExport(system, "mach_task_self_", out var self)
            && TaskInfo(*(uint*)self, TaskVmInfo, counts, &units) == 0;
    }

    [LibraryImport("libSystem", EntryPoint = "sysctlbyname", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SysctlByName(string name, void* value, nuint* size, void* newValue, nuint newSize);

    [LibraryImport("libSystem", EntryPoint = "mach_host_self")]
    private static partial uint MachHostSelf();

    [LibraryImport("libSystem", EntryPoint = "host_statistics64")]
    private static partial int HostStatistics64(uint host, int flavour, void* counts, int* units);

    [LibraryImport("libSystem", EntryPoint = "task_info")]
    private static partial int TaskInfo(uint task, int flavour, void* counts, int* units);
}
