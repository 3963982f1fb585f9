using System.Globalization;
using Trainer.Distributed;
using Trainer.Numerics.Machine;

namespace Trainer.Training.Steps;

/// <summary>How many threads a rank computes with: its share of the machine, or what the launcher tied it to.</summary>
internal static class RankThreads
{
    /// <summary>The threads, and what the user should know about them.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="asked">--threads, or null.</param>
    public static (int Threads, string? Warning) Of(ICollective ranks, int? asked) => Of(ranks.LocalSize, asked, MachineLimits.Processors, Online());

    internal static (int Threads, string? Warning) Of(int localRanks, int? asked, int allowed, int online)
    {
        // Given by name in any case: MKL inside libtorch drops to one thread as soon as it sees a launcher's variables.
        if (asked is { } threads) return (threads, null);
        // A rank that is tied to some cores has its share already; one that may use all cores takes an equal part of them.
        var share = allowed < online ? allowed : Math.Max(1, allowed / localRanks);
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

    // "0-3,8" is five processors.
    private static int Online()
    {
        const string Path = "/sys/devices/system/cpu/online";
        if (!File.Exists(Path)) return Environment.ProcessorCount;
        var count = 0;
        foreach (var range in File.ReadAllText(Path).Trim().Split(','))
        {
            var ends = range.Split('-');
            if (!int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
                || !int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var last))
                return Environment.ProcessorCount;
            count += last - first + 1;
        }
        return Math.Max(count, Environment.ProcessorCount);
    }
}
