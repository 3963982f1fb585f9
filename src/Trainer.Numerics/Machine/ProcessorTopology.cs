using System.Globalization;

namespace Trainer.Numerics.Machine;

/// <summary>How the processors that a process may run on share cores and memory: what the system tells, as far as affinity lets the process use it.</summary>
/// <param name="Processors">Processors that it may run on.</param>
/// <param name="Cores">Cores that these belong to: two siblings of one core share its arithmetic.</param>
/// <param name="Nodes">Memory nodes that are near to one of them or that it may take memory from; empty where the system tells none.</param>
public sealed record ProcessorTopology(int Processors, int Cores, IReadOnlyList<MemoryNode> Nodes)
{
    private const string Cpus = "sys/devices/system/cpu";
    private const string NodesFolder = "sys/devices/system/node";

    private static readonly Lazy<ProcessorTopology?> AtStart = new(() => OperatingSystem.IsLinux() ? Read("/") : null);

    /// <summary>That of this process as it started; null where the system does not tell.</summary>
    public static ProcessorTopology? Here => AtStart.Value;

    /// <summary>That of the process whose <c>proc/self</c> lies below a folder; null where nothing is told there.</summary>
    /// <param name="root">The folder that stands for the root of the file system.</param>
    public static ProcessorTopology? Read(string root)
    {
        if (Allowed(root, "Cpus_allowed_list") is not { Count: > 0 } processors) return null;
        // Siblings name each other, so the list of a core is the same at each of them. A processor without one is a core of its own.
        var cores = processors.Select(cpu => Siblings(root, cpu)).Distinct(StringComparer.Ordinal).Count();
        return new ProcessorTopology(processors.Count, cores, [.. Memory(root, processors).OrderBy(node => node.Number)]);
    }

    /// <summary>The numbers of a list as the kernel writes it: "0-3,8" is five; null where it is none.</summary>
    /// <param name="text">The list.</param>
    public static IReadOnlyList<int>? Numbers(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var numbers = new List<int>();
        foreach (var range in text.Trim().Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var ends = range.Split('-');
            if (ends.Length > 2 || !int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
                || !int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var last) || last < first || last - first > 1 << 16)
                return null;
            numbers.AddRange(Enumerable.Range(first, last - first + 1));
        }
        return numbers;
    }

    private static string Siblings(string root, int cpu)
    {
        var folder = Path.Combine(root, Cpus, $"cpu{cpu}", "topology");
        return SystemText.Of(Path.Combine(folder, "core_cpus_list")) ?? SystemText.Of(Path.Combine(folder, "thread_siblings_list")) ?? $"{cpu}";
    }

    private static IEnumerable<MemoryNode> Memory(string root, IReadOnlyList<int> processors)
    {
        var folder = Path.Combine(root, NodesFolder);
        if (SystemText.Of(Path.Combine(folder, "has_memory")) is not { } written || Numbers(written) is not { } nodes) yield break;
        var allowed = Allowed(root, "Mems_allowed_list") ?? nodes;
        foreach (var node in nodes.Intersect(allowed))
        {
            var near = Numbers(SystemText.Of(Path.Combine(folder, $"node{node}", "cpulist")) ?? "") ?? [];
            // "Node 0 MemTotal:       24682392 kB"
            var line = (SystemText.Of(Path.Combine(folder, $"node{node}", "meminfo")) ?? "").Split('\n')
                .FirstOrDefault(text => text.Contains("MemTotal:", StringComparison.Ordinal));
            var words = line?.Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
            var bytes = words.Length > 1 && long.TryParse(words[^2], NumberStyles.None, CultureInfo.InvariantCulture, out var kilobytes) ? kilobytes * 1024 : 0;
            yield return new MemoryNode(node, near.Intersect(processors).Count(), bytes);
        }
    }

    private static IReadOnlyList<int>? Allowed(string root, string key)
    {
        var line = (SystemText.Of(Path.Combine(root, "proc/self/status")) ?? "").Split('\n')
            .FirstOrDefault(text => text.StartsWith(key + ":", StringComparison.Ordinal));
        return line is null ? null : Numbers(line[(key.Length + 1)..]);
    }
}
