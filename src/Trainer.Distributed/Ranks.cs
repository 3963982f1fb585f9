using Trainer.Distributed.Mpi;
using Trainer.Distributed.Nccl;

namespace Trainer.Distributed;

/// <summary>Joins the ranks of a run.</summary>
public static class Ranks
{
    /// <summary>Joins, or stays alone.</summary>
    /// <param name="mode">Whether to look for other ranks.</param>
    /// <param name="tell">Says why this process ends where a call of the MPI library does not come back; called on a thread of its own.</param>
    /// <exception cref="MissingLibraryException">MPI or NCCL is wanted and cannot be used: the names tried and what to install are in the message.</exception>
    /// <exception cref="CollectiveException">The start of MPI or NCCL failed.</exception>
    public static ICollective Join(DistributedMode mode, Action<string> tell)
    {
        if (mode == DistributedMode.Off) return new SingleProcess();
        var launcher = Launcher.Find();
        // torchrun's processes would each train the whole run, into one folder.
        if (mode == DistributedMode.Nccl || (mode == DistributedMode.Auto && launcher is null && NcclPlace.IsTorchrun())) return JoinNccl();
        if (mode == DistributedMode.Auto && launcher is not { Size: > 1 }) return new SingleProcess();
        return MpiCollective.Join(launcher, CollectiveTimeout.Value(), tell);
    }

    private static NcclCollective JoinNccl()
    {
        var place = NcclPlace.Find()
            ?? throw new MissingLibraryException("--distributed nccl needs a launcher that numbers the processes: start them by torchrun --no-python "
                + "--nproc-per-node N trainer train ..., or by srun");
        return NcclCollective.Join(place, NcclLibrary.Load(), CollectiveTimeout.Value());
    }
}
