using System.Globalization;

namespace Trainer.Distributed.Nccl;

/// <summary>What torchrun or Slurm says of this process: NCCL has no launcher of its own, so the environment is the authority.</summary>
/// <param name="Launcher">The launcher's name.</param>
/// <param name="Rank">This process among all, from 0.</param>
/// <param name="Size">How many processes.</param>
/// <param name="LocalRank">This process among those of its machine, from 0: its card.</param>
/// <param name="Address">The machine of rank 0.</param>
/// <param name="Port">Where rank 0 listens.</param>
internal sealed record NcclPlace(string Launcher, int Rank, int Size, int LocalRank, string Address, int Port)
{
    // torchrun's own default.
    private const int UsualPort = 29500;

    /// <summary>This process's place, or null where neither launcher started it.</summary>
    /// <param name="variable">Reads an environment variable; null reads this process's.</param>
    /// <exception cref="MissingLibraryException">A launcher is there, and says too little or nonsense.</exception>
    public static NcclPlace? Find(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        return Torchrun(variable) ?? Slurm(variable);
    }

    /// <summary>Whether torchrun, or an operator that sets its variables, started several processes.</summary>
    /// <param name="variable">Reads an environment variable; null reads this process's.</param>
    public static bool IsTorchrun(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        return Number(variable, "RANK") is not null && Number(variable, "WORLD_SIZE") > 1 && variable("MASTER_ADDR") is { Length: > 0 };
    }

    private static NcclPlace? Torchrun(Func<string, string?> variable)
    {
        if (Number(variable, "RANK") is not { } rank || Number(variable, "WORLD_SIZE") is not { } size) return null;
        if (variable("MASTER_ADDR") is not { Length: > 0 } address)
            throw new MissingLibraryException("RANK and WORLD_SIZE are set, and MASTER_ADDR is not: set it to the machine of rank 0 (torchrun does)");
        var port = Number(variable, "MASTER_PORT") ?? UsualPort;
        // torchrun itself listens on the port it names where it keeps the workers' store.
        if (bool.TryParse(variable("TORCHELASTIC_USE_AGENT_STORE"), out var isTaken) && isTaken) port++;
        return Checked(new NcclPlace("torchrun", rank, size, Number(variable, "LOCAL_RANK") ?? 0, address, port));
    }

    private static NcclPlace? Slurm(Func<string, string?> variable)
    {
        if (Number(variable, "SLURM_PROCID") is not { } rank || Number(variable, "SLURM_NTASKS") is not { } size) return null;
        var address = variable("MASTER_ADDR") is { Length: > 0 } named
            ? named : FirstNode(variable("SLURM_STEP_NODELIST") ?? variable("SLURM_JOB_NODELIST") ?? "");
        if (address.Length == 0) throw new MissingLibraryException("Slurm names no machines: set MASTER_ADDR to the machine of rank 0");
        // Jobs that share a machine get ports of their own.
        var port = Number(variable, "MASTER_PORT") ?? 20000 + (Number(variable, "SLURM_JOB_ID") ?? 0) % 20000;
        return Checked(new NcclPlace("srun", rank, size, Number(variable, "SLURM_LOCALID") ?? 0, address, port));
    }

    /// <summary>The first machine of Slurm's short form: node[03-07,9],other is node03.</summary>
    internal static string FirstNode(string list)
    {
        var open = list.IndexOf('[', StringComparison.Ordinal);
        var comma = list.IndexOf(',', StringComparison.Ordinal);
        if (open < 0 || (comma >= 0 && comma < open)) return comma < 0 ? list : list[..comma];
        var close = list.IndexOf(']', open);
        if (close < 0) return list[..open];
        var number = list[(open + 1)..close].Split(',', '-')[0];
        var end = list.IndexOf(',', close);
        return list[..open] + number + (end < 0 ? list[(close + 1)..] : list[(close + 1)..end]);
    }

    private static NcclPlace Checked(NcclPlace place)
    {
        if (place.Size < 1 || place.Rank >= place.Size)
            throw new MissingLibraryException($"{place.Launcher} gives rank {place.Rank} of {place.Size}: ranks run from 0 to the number less one; start the "
                + "processes by torchrun or srun");
        if (place.Port is < 1 or > 65535)
            throw new MissingLibraryException($"MASTER_PORT gives port {place.Port}, which is none: set it to a free port between 1024 and 65534");
        return place;
    }

    private static int? Number(Func<string, string?> variable, string name)
        => int.TryParse(variable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
}
