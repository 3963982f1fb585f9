using System.Globalization;

namespace Trainer.Numerics.Machine;

/// <summary>
/// What the control groups that a process lives in allow it: those of a container, a service or a batch job, version 1 and version 2 alike.
/// A limit of a group holds for all below it, so the least on the way up to the mount is the one that counts.
/// </summary>
/// <param name="MemoryLimitBytes">Memory it may have; null is no limit.</param>
/// <param name="MemoryUsedBytes">Memory that the limiting group has in use and cannot give back at once; 0 where there is no limit.</param>
/// <param name="Processors">Processors' worth of time it may use; null is no limit.</param>
public sealed record ControlGroup(long? MemoryLimitBytes, long MemoryUsedBytes, double? Processors)
{
    private static readonly ControlGroup None = new(null, 0, null);

    /// <summary>The groups of this process.</summary>
    public static ControlGroup Here() => OperatingSystem.IsLinux() ? Read("/") : None;

    /// <summary>The groups of the process whose <c>proc/self</c> lies below a folder.</summary>
    /// <param name="root">The folder that stands for the root of the file system.</param>
    public static ControlGroup Read(string root)
    {
        try
        {
            var groups = File.ReadLines(Path.Combine(root, "proc/self/cgroup")).Select(static line => line.Split(':', 3))
                .Where(static parts => parts.Length == 3).ToList();
            var mounts = File.ReadLines(Path.Combine(root, "proc/self/mountinfo")).Select(Mount.Parse).OfType<Mount>().ToList();
            var memory = Memory(Folders(root, groups, mounts, "memory"), version: 1) ?? Memory(Folders(root, groups, mounts, null), version: 2);
            var processors = Processor(Folders(root, groups, mounts, "cpu"), version: 1) ?? Processor(Folders(root, groups, mounts, null), version: 2);
            return new ControlGroup(memory?.Limit, memory?.Used ?? 0, processors);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // A sandbox may hide /proc: the machine's own figures then count.
            return None;
        }
    }

    /// <summary>The group's folder of a controller, and those above it, up to where the hierarchy is mounted.</summary>
    /// <param name="root">Stands for the root of the file system.</param>
    /// <param name="groups">Lines of /proc/self/cgroup: number, controllers, path.</param>
    /// <param name="mounts">Mounted hierarchies.</param>
    /// <param name="controller">A controller of version 1; null is the one hierarchy of version 2.</param>
    private static List<string> Folders(string root, List<string[]> groups, List<Mount> mounts, string? controller)
    {
        var group = groups.Find(parts => controller is null ? parts[0] == "0" && parts[1].Length == 0 : parts[1].Split(',').Contains(controller))?[2];
        var mount = mounts.Find(one => controller is null ? one.Kind == "cgroup2" : one.Kind == "cgroup" && one.Options.Contains(controller));
        if (group is null || mount is null) return [];
        // A container without a namespace of its own sees the path from the host's root, of which its mount shows a part.
        var below = mount.Root != "/" && group.StartsWith(mount.Root, StringComparison.Ordinal) ? group[mount.Root.Length..] : mount.Root == "/" ? group : "";
        var top = Path.Combine(root, mount.Point.TrimStart('/'));
        var names = below.Split('/', StringSplitOptions.RemoveEmptyEntries);
        // ".." is above what is mounted: nothing of it can be read here.
        if (names.Contains("..")) names = [];
        return [.. Enumerable.Range(0, names.Length + 1).Select(depth => Path.Combine([top, .. names[..(names.Length - depth)]]))];
    }

    private static (long Limit, long Used)? Memory(List<string> folders, int version)
    {
        (long Limit, long Used)? least = null;
        foreach (var folder in folders)
        {
            // "max", and in version 1 the largest number that pages can make, are no limit.
            if (Number(folder, version == 1 ? "memory.limit_in_bytes" : "memory.max") is not (> 0 and < long.MaxValue / 2 and var limit)
                || limit >= least?.Limit) continue;
            var used = Number(folder, version == 1 ? "memory.usage_in_bytes" : "memory.current") ?? 0;
            // The group's page cache counts as used and is given back when it is wanted.
            var cache = Stat(folder, version == 1 ? "total_inactive_file" : "inactive_file") ?? 0;
            least = (limit, Math.Max(0, used - cache));
        }
        return least;
    }

    private static double? Processor(List<string> folders, int version)
    {
        double? least = null;
        foreach (var folder in folders)
        {
            var words = version == 1 ? [Text(folder, "cpu.cfs_quota_us") ?? "", Text(folder, "cpu.cfs_period_us") ?? ""]
                : (Text(folder, "cpu.max") ?? "").Split(' ');
            // A quota of "max" or -1 is none.
            if (words.Length != 2 || !long.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out var quota)
                || !long.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out var period)) continue;
            if (quota > 0 && period > 0 && !((double)quota / period >= least)) least = (double)quota / period;
        }
        return least;
    }

    private static long? Number(string folder, string file)
        => long.TryParse(Text(folder, file), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static long? Stat(string folder, string key)
    {
        var line = (Text(folder, "memory.stat") ?? "").Split('\n').FirstOrDefault(text => text.StartsWith(key + " ", StringComparison.Ordinal));
        return line is not null && long.TryParse(line.AsSpan(key.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
    }

    private static string? Text(string folder, string file) => SystemText.Of(Path.Combine(folder, file));

    /// <summary>A line of /proc/self/mountinfo that mounts control groups.</summary>
    private sealed record Mount(string Root, string Point, string Kind, string[] Options)
    {
        // 36 35 98:0 /root /point rw,noatime master:1 - kind source options
        public static Mount? Parse(string line)
        {
            var halves = line.Split(" - ", 2);
            if (halves.Length != 2) return null;
            var (first, second) = (halves[0].Split(' '), halves[1].Split(' '));
            return first.Length >= 5 && second.Length >= 3 && second[0] is "cgroup" or "cgroup2"
                ? new Mount(first[3], first[4], second[0], second[2].Split(',')) : null;
        }
    }
}
