using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Trainer.Distributed.Mpi;

/// <summary>The ranks of an MPI job. Every wait has a deadline, so a rank that hangs ends the job instead of holding it for ever.</summary>
internal sealed unsafe class MpiCollective : ICollective
{
    // Counts of MPI are 32-bit; parts of this size also let a deadline see progress.
    private const int PartBytes = 1 << 28;

    // Open MPI sums in place over a tree, whose cost grows with the ranks' logarithm; from another buffer, and from this many ranks on, piece by piece.
    private const int RanksOfPieces = 4;

    private readonly MpiAbi _abi;
    private readonly TimeSpan _timeout;
    private readonly CallWatch _watch;
    private readonly Action<string> _tell;
    private void* _sent;
    private int _sentBytes;

    private MpiCollective(MpiAbi abi, TimeSpan timeout, CallWatch watch, Action<string> tell)
    {
        (_abi, _timeout, _watch, _tell) = (abi, timeout, watch, tell);
        int rank, size, localRank, localSize;
        Check(MpiNative.CommRank(abi.World, &rank), "MPI_Comm_rank");
        Check(MpiNative.CommSize(abi.World, &size), "MPI_Comm_size");
        nint machine = 0;
        Check(MpiNative.CommSplitType(abi.World, abi.Shared, rank, abi.InfoNull, &machine), "MPI_Comm_split_type");
        Check(MpiNative.CommRank(machine, &localRank), "MPI_Comm_rank");
        Check(MpiNative.CommSize(machine, &localSize), "MPI_Comm_size");
        Check(MpiNative.CommFree(&machine), "MPI_Comm_free");
        (Rank, Size, LocalRank, LocalSize) = (rank, size, localRank, localSize);
        Description = $"{Size} ranks over {MpiLibrary.Version()}";
    }

    public int Rank { get; }

    public int Size { get; }

    public int LocalRank { get; }

    public int LocalSize { get; }

    public string Description { get; }

    /// <summary>Loads the library, starts it and checks that it belongs to the launcher.</summary>
    /// <param name="launcher">What started this process, or null.</param>
    /// <param name="timeout">The longest wait for other ranks.</param>
    /// <param name="tell">Says why this process ends where a call of the library does not come back; called on a thread of its own.</param>
    /// <exception cref="MissingLibraryException">No library, or the launcher's and the library's ranks are not the same.</exception>
    public static MpiCollective Join(Launcher? launcher, TimeSpan timeout, Action<string> tell)
    {
        var abi = MpiLibrary.Load();
        // The deadline between calls comes first where it is reached.
        var watch = new CallWatch(timeout + TimeSpan.FromSeconds(5), tell);
        using var start = watch.Of("the start of the ranks");
        int provided;
        var code = MpiNative.InitThread(0, 0, abi.Serialized, &provided);
        if (code != 0)
            throw new CollectiveException($"MPI_Init_thread failed with code {code} ({MpiLibrary.Version()}); start the command under that library's own "
                + "launcher");
        _ = MpiNative.CommSetErrorHandler(abi.World, abi.ErrorsReturn);
        var ranks = new MpiCollective(abi, timeout, watch, tell);
        // Launcher and library of different makers give as many worlds of one rank as there are processes, each of which would train the whole run.
        if (launcher is { Size: var started } && started != ranks.Size)
        {
            var version = MpiLibrary.Version();
            _ = MpiNative.Finalize();
            throw new MissingLibraryException($"{launcher.Name} started {started} processes, but the MPI library ('{version}') sees {ranks.Size}: they are of "
                + $"different makers; set {MpiLibrary.PathVariable} to the library of the launcher");
        }
        if (launcher is null && ranks.Size == 1)
        {
            _ = MpiNative.Finalize();
            throw new MissingLibraryException("no launcher started this process, so there are no other ranks: start it with mpirun -np N or srun, or leave "
                + "--distributed mpi out to train in one process");
        }
        return ranks;
    }

    public void Sum(Span<float> values, Span<double> riders)
    {
        fixed (float* first = values) Reduce((byte*)first, values.Length, sizeof(float), _abi.Float);
        fixed (double* first = riders) Reduce((byte*)first, riders.Length, sizeof(double), _abi.Double);
    }

    public void Broadcast(Span<byte> bytes)
    {
        using var call = _watch.Of("a broadcast");
        fixed (byte* first = bytes)
        {
            for (var at = 0; at < bytes.Length; at += PartBytes)
            {
                nint request = 0;
                Check(MpiNative.StartBroadcast(first + at, Math.Min(PartBytes, bytes.Length - at), _abi.Byte, 0, _abi.World, &request), "MPI_Ibcast");
                Wait(&request, "broadcast");
            }
        }
    }

    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(all.Length, mine.Length * Size);
        using var call = _watch.Of("a gather");
        fixed (byte* send = mine, receive = all)
        {
            nint request = 0;
            Check(MpiNative.StartAllGather(send, mine.Length, _abi.Byte, receive, mine.Length, _abi.Byte, _abi.World, &request), "MPI_Iallgather");
            Wait(&request, "gather");
        }
    }

    public void Barrier()
    {
        using var call = _watch.Of("a barrier");
        nint request = 0;
        Check(MpiNative.StartBarrier(_abi.World, &request), "MPI_Ibarrier");
        Wait(&request, "barrier");
    }

    public void Abort(int exitCode)
    {
        if (Size == 1) return;
        using var call = _watch.Of("the end of all ranks");
        // Where the library comes back from it all the same, the caller ends this process.
        _ = MpiNative.Abort(_abi.World, exitCode);
    }

    // All ranks leave together: a launcher takes one that ends while others work for a failure and kills them.
    public void Dispose()
    {
        var peers = LocalPeers.Meet(this);
        using (_watch.Of("the end of the ranks")) _ = MpiNative.Finalize();
        _watch.Dispose();
        // Nothing of MPI is left by which a rank that is stopped from here on could be missed, and its launcher waits for it.
        if (peers.EndWithin(_timeout) is { } late) _tell(late);
        NativeMemory.Free(_sent);
        _sent = null;
    }

    private void Reduce(byte* first, long count, int elementBytes, nint type)
    {
        using var call = _watch.Of("a sum");
        var part = PartBytes / elementBytes;
        for (long at = 0; at < count; at += part)
        {
            nint request = 0;
            var from = first + at * elementBytes;
            var length = (int)Math.Min(part, count - at);
            Check(MpiNative.StartAllReduce(Sent(from, length * elementBytes), from, length, type, _abi.Sum, _abi.World, &request), "MPI_Iallreduce");
            Wait(&request, "sum");
        }
    }

    private nint Sent(byte* from, int bytes)
    {
        if (_abi.Kind != MpiKind.OpenMpi || Size < RanksOfPieces) return _abi.InPlace;
        if (_sentBytes < bytes)
        {
            _sent = NativeMemory.Realloc(_sent, (nuint)bytes);
            _sentBytes = bytes;
        }
        Buffer.MemoryCopy(from, _sent, bytes, bytes);
        return (nint)_sent;
    }

    // Asked again and again at first, when the others are about to arrive, and then in short sleeps, so that a waiting rank takes no core from a working one.
    private void Wait(nint* request, string what)
    {
        var begun = Stopwatch.GetTimestamp();
        for (var round = 0; ; round++)
        {
            var isDone = 0;
            Check(MpiNative.Test(request, &isDone, _abi.StatusIgnore), "MPI_Test");
            if (isDone != 0) return;
            if (round < 64) Thread.SpinWait(64);
            else Thread.Sleep(round < 1024 ? 0 : 1);
            if ((round & 63) == 63 && Stopwatch.GetElapsedTime(begun) > _timeout)
            {
                throw new CollectiveException($"rank {Rank} of {Size} waited {_timeout.TotalSeconds:0} s for the other ranks (in a {what}): one of them hangs "
                    + "or the network is down; "
                    + $"look at rank-*.error in the run folder, and raise {CollectiveTimeout.Variable} where a rank may take that long");
            }
        }
    }

    private void Check(int code, string call)
    {
        if (code == 0) return;
        var text = stackalloc byte[1024];
        int length;
        var reason = MpiNative.ErrorString(code, text, &length) == 0 ? Encoding.UTF8.GetString(text, Math.Clamp(length, 0, 1024)) : $"code {code}";
        throw new CollectiveException($"{call} failed on rank {Rank} of {Size}: {reason}");
    }
}
