namespace Trainer.Numerics.Machine;

/// <summary>Memory of this machine and of this process, in bytes, as the system itself counts it.</summary>
/// <remarks>The counts of macOS and Windows come from their documented system calls; only those of Linux were run so far.</remarks>
public static class SystemMemory
{
    /// <summary>Memory of the machine; null where the system does not tell.</summary>
    public static long? Physical =>
        OperatingSystem.IsLinux() ? LinuxMemory.Machine("MemTotal:")
        : OperatingSystem.IsMacOS() ? MacMemory.Physical() : OperatingSystem.IsWindows() ? WindowsMemory.Physical() : null;

    /// <summary>What could be taken now without swapping; null where the system does not tell.</summary>
    public static long? Available =>
        OperatingSystem.IsLinux() ? LinuxMemory.Machine("MemAvailable:")
        : OperatingSystem.IsMacOS() ? MacMemory.Available() : OperatingSystem.IsWindows() ? WindowsMemory.Available() : null;

    /// <summary>Resident memory of this process.</summary>
    public static long Resident => (OperatingSystem.IsLinux() ? LinuxMemory.Process("VmRSS:") : null) ?? Environment.WorkingSet;

    /// <summary>Resident memory of this process that no file backs: mapped weights are not in it.</summary>
    public static long Anonymous =>
        (OperatingSystem.IsLinux() ? LinuxMemory.Process("RssAnon:")
        : OperatingSystem.IsMacOS() ? MacMemory.Anonymous() : OperatingSystem.IsWindows() ? WindowsMemory.Private() : null) ?? Environment.WorkingSet;

    /// <summary>The largest resident size since this process began.</summary>
    public static long Peak =>
        (OperatingSystem.IsLinux() ? LinuxMemory.Process("VmHWM:")
        : OperatingSystem.IsMacOS() ? MacMemory.Peak() : OperatingSystem.IsWindows() ? WindowsMemory.Peak() : null) ?? Environment.WorkingSet;
}
