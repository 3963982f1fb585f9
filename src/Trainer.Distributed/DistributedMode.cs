namespace Trainer.Distributed;

/// <summary>Whether a run takes part in a group of processes.</summary>
public enum DistributedMode
{
    /// <summary>Under a launcher of several ranks over MPI, under torchrun over NCCL, else alone. No library is loaded where no launcher is.</summary>
    Auto,
    /// <summary>Alone, whatever started it.</summary>
    Off,
    /// <summary>Over MPI, or not at all.</summary>
    Mpi,
    /// <summary>Over NCCL, a card for each rank; torchrun or Slurm starts them.</summary>
    Nccl,
}
