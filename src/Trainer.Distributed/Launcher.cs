using System.Globalization;

namespace Trainer.Distributed;

/// <summary>What the program that started this process says in its environment: hints only, MPI has the last word.</summary>
/// <param name="Name">mpirun of Open MPI, Hydra, Slurm: as a person calls it.</param>
/// <param name="Rank">The rank it gave this process, or null where it says none.</param>
/// <param name="Size">How many processes it started.</param>
public sealed record Launcher(string Name, int? Rank, int Size)
{
    // Slurm sets its own names for each task, with or without MPI; they count where its PMI is there too.
    private static readonly (string Name, string Rank, string Size)[] Known =
    [
        ("Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        ("Hydra (mpiexec of MPICH, Intel MPI or MVAPICH)", "PMI_RANK", "PMI_SIZE"),
        ("srun", "SLURM_PROCID", "SLURM_NTASKS"),
    ];

    /// <summary>The launcher of this process, or null where there is none.</summary>
    /// <param name="variable">Reads an environment variable; null reads this process's.</param>
    public static Launcher? Find(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        foreach (var (name, rank, size) in Known)
        {
            if (Number(variable(size)) is not { } count || Number(variable(rank)) is not { } at) continue;
            if (name == "srun" && variable("PMIX_RANK") is null && variable("SLURM_MPI_TYPE") is null or "none") continue;
            return new Launcher(name, at, count);
        }
        return null;
    }

    /// <summary>Whether MPICH's family started this process, so that its library is the one to try first.</summary>
    /// <param name="variable">Reads an environment variable; null reads this process's.</param>
    public static bool IsHydra(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        return variable("PMI_RANK") is not null && variable("OMPI_COMM_WORLD_RANK") is null;
    }

    private static int? Number(string? text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
}
