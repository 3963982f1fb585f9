namespace Trainer.Distributed.Mpi;

/// <summary>The binary interfaces of MPI libraries.</summary>
internal enum MpiKind
{
    /// <summary>Open MPI: handles are addresses of exported data.</summary>
    OpenMpi,
    /// <summary>MPICH, Intel MPI, MVAPICH, Cray: handles are 32-bit numbers.</summary>
    Mpich,
    /// <summary>The standard interface of MPI 5: handles are small numbers.</summary>
    Standard,
}
