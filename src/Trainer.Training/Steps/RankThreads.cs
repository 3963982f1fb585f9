using Trainer.Distributed;
using Trainer.Numerics.Machine;

namespace Trainer.Training.Steps;

/// <summary>How many threads a rank computes with: its share of the machine, or what the launcher tied it to.</summary>
internal static class RankThreads
{
    /// <summary>The threads, and what the user should know about them.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="asked">--threads, or null.</param>
    public static (int Threads, string? Warning) Of(ICollective ranks, int? asked)
        => Of(ranks.LocalSize, asked, MachineLimits.Processors, Online(), MachineLimits.ComputeThreads);

    internal static (int Threads, string? Warning) Of(int localRanks, int? asked, int allowed, int online, int? atOnce = null)
    {
        // Given by name in any case: MKL inside libtorch drops to one thread as soon as it sees a launcher's variables.
        if (asked is { } given) return (given, null);
        // A rank that is tied to some cores has its share already; one that may use all cores takes an equal part of them.
        var threads = Math.Min(allowed, atOnce ?? allowed);
        var share = allowed < online ? threads : Math.Max(1, threads / localRanks);
        var warning = allowed == 1 && online >= 2 * localRanks
            ? $"the launcher ties each rank to one of {online} cores: pass --bind-to none to mpirun (--cpu-bind=none to srun), or more cores a rank"
            : null;
        return (share, warning);
    }

    /// <summary>What the user should know where more threads were asked for than this machine, or what the process may use of it, runs at once; else
    /// null.</summary>
    /// <param name="asked">--threads, or null.</param>
    /// <param name="localRanks">Ranks of the run on this machine, each with as many.</param>
    /// <param name="allowed">Processors by affinity and quota; a rank that its launcher tied to some has these for itself.</param>
    /// <param name="online">Processors of the machine.</param>
    internal static string? TooMany(int? asked, int localRanks, int allowed, int online)
    {
        var together = (long)(asked ?? 0) * (allowed < online ? 1 : localRanks);
        if (together <= allowed) return null;
        var (who, may) = (localRanks > 1 ? $" of {localRanks} ranks on this machine" : "", allowed == 1 ? "processor" : "processors");
        return $"--threads {asked}{who} is more than the {allowed} {may} that may be used here (by affinity, or a quota of the control group): they wait for "
            + "each other; leave --threads out";
    }

    /// <summary>As the other, for this machine.</summary>
    public static string? TooMany(ICollective ranks, int? asked) => TooMany(asked, ranks.LocalSize, MachineLimits.Processors, Online());

    private static int Online()
    {
        const string Path = "/sys/devices/system/cpu/online";
        if (!File.Exists(Path)) return Environment.ProcessorCount;
        return Math.Max(ProcessorTopology.Numbers(File.ReadAllText(Path))?.Count ?? 0, Environment.ProcessorCount);
    }
}
