using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Trainer.Distributed.Nccl;

/// <summary>
/// The ranks of a run with a card each, over NCCL. Values of the host go through a buffer on the card; values that lie on the card are summed there.
/// Every wait has a deadline and watches the other ranks, as a kernel of NCCL would wait for ever.
/// </summary>
internal sealed unsafe class NcclCollective : IDeviceCollective
{
    private readonly TimeSpan _timeout;
    private readonly Lifeline _line;
    private nint _communicator;
    private nint _buffer;
    private long _bufferBytes;

    private NcclCollective(NcclPlace place, int device, TimeSpan timeout, Lifeline line)
    {
        (Rank, Size, Device, _timeout, _line) = (place.Rank, place.Size, device, timeout, line);
        Description = $"{Size} ranks over NCCL {NcclLibrary.Version()}";
    }

    public int Rank { get; }

    public int Size { get; }

    public int LocalRank { get; private set; }

    public int LocalSize { get; private set; } = 1;

    public int Device { get; }

    public string Description { get; }

    /// <summary>Connects the ranks, opens this rank's card and starts NCCL.</summary>
    /// <param name="place">What the launcher said.</param>
    /// <param name="cards">How many cards the driver sees; <see cref="NcclLibrary.Load"/> has counted them.</param>
    /// <param name="timeout">The longest wait for other ranks.</param>
    /// <exception cref="MissingLibraryException">More ranks on this machine than cards.</exception>
    /// <exception cref="CollectiveException">The ranks did not find each other, or NCCL does not start.</exception>
    public static NcclCollective Join(NcclPlace place, int cards, TimeSpan timeout)
    {
        // A launcher that shows each process its own card shows one.
        var device = cards == 1 ? 0 : place.LocalRank;
        if (device >= cards)
            throw new MissingLibraryException($"rank {place.Rank} is number {place.LocalRank} of its machine, counted from 0, and the driver "
                + $"sees {cards} cards: start one rank a card");
        var ranks = new NcclCollective(place, device, timeout, Lifeline.Join(place, timeout));
        try
        {
            ranks.Start();
            return ranks;
        }
        catch
        {
            ranks.Abort(0);
            throw;
        }
    }

    public void Sum(Span<float> values, Span<double> riders)
    {
        fixed (float* first = values) SumOfHost(first, values.Length, sizeof(float), NcclNative.Float);
        fixed (double* first = riders) SumOfHost(first, riders.Length, sizeof(double), NcclNative.Double);
    }

    public void Sum(nint deviceValues, long count, Span<double> riders)
    {
        Check(NcclNative.AllReduce(deviceValues, deviceValues, (nuint)count, NcclNative.Float, NcclNative.SumOperation, _communicator, 0), "ncclAllReduce");
        Wait("sum");
        fixed (double* first = riders) SumOfHost(first, riders.Length, sizeof(double), NcclNative.Double);
    }

    public void Broadcast(Span<byte> bytes)
    {
        fixed (byte* first = bytes)
        {
            Upload(first, bytes.Length, bytes.Length);
            Check(NcclNative.Broadcast(_buffer, _buffer, (nuint)bytes.Length, NcclNative.Byte, 0, _communicator, 0), "ncclBroadcast");
            Wait("broadcast");
            Download(first, _buffer, bytes.Length);
        }
    }

    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(all.Length, mine.Length * Size);
        fixed (byte* send = mine, receive = all)
        {
            Upload(send, mine.Length, mine.Length + all.Length);
            var gathered = _buffer + mine.Length;
            Check(NcclNative.AllGather(_buffer, gathered, (nuint)mine.Length, NcclNative.Byte, _communicator, 0), "ncclAllGather");
            Wait("gather");
            Download(receive, gathered, all.Length);
        }
    }

    public void Barrier()
    {
        Span<double> nothing = [0];
        Sum([], nothing);
    }

    public void Abort(int exitCode)
    {
        // The connection closes with this rank and ends the others; the exit code is the caller's, for the launcher.
        if (_communicator != 0) _ = NcclNative.CommAbort(_communicator);
        _communicator = 0;
        _line.Break();
    }

    // All ranks leave together, and rank 0 last.
    public void Dispose()
    {
        if (_communicator == 0) return;
        Barrier();
        _ = CudaNative.Free(_buffer);
        _ = NcclNative.CommDestroy(_communicator);
        _communicator = 0;
        _line.Dispose();
    }

    private void Start()
    {
        int card;
        nint context = 0;
        CheckCuda(CudaNative.DeviceGet(&card, Device), "cuDeviceGet");
        CheckCuda(CudaNative.PrimaryContextRetain(&context, card), "cuDevicePrimaryCtxRetain");
        CheckCuda(CudaNative.ContextSetCurrent(context), "cuCtxSetCurrent");
        NcclNative.UniqueId id = default;
        if (Rank == 0) Check(NcclNative.GetUniqueId(&id), "ncclGetUniqueId");
        _line.Share(MemoryMarshal.AsBytes(new Span<NcclNative.UniqueId>(ref id)));
        Initialize(id, context);

        // Which ranks share a machine: the name alone may be the same on two of them, in containers above all.
        Span<byte> machine = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(Environment.MachineName + BootId()), machine);
        var all = new byte[Size * machine.Length];
        Gather(machine, all);
        for (var (rank, before, count) = (0, 0, 0); rank < Size; rank++)
        {
            if (!all.AsSpan(rank * machine.Length, machine.Length).SequenceEqual(machine)) continue;
            if (rank < Rank) before++;
            (LocalRank, LocalSize) = (before, ++count);
        }
    }

    // ncclCommInitRank comes back when all ranks have called it: on a thread of its own, so that a rank that dies on the way does not hold this one.
    private void Initialize(NcclNative.UniqueId id, nint context)
    {
        var code = 0;
        var opening = new Thread(() =>
        {
            nint communicator = 0;
            _ = CudaNative.ContextSetCurrent(context);
            code = NcclNative.CommInitRank(&communicator, Size, id, Rank);
            _communicator = communicator;
        })
        { IsBackground = true, Name = "nccl start" };
        opening.Start();
        for (var begun = Stopwatch.GetTimestamp(); !opening.Join(TimeSpan.FromMilliseconds(20));)
        {
            _line.RequireAlive();
            if (Stopwatch.GetElapsedTime(begun) > _timeout) throw TooLong("start of NCCL");
        }
        Check(code, "ncclCommInitRank");
    }

    private static string BootId()
    {
        const string Path = "/proc/sys/kernel/random/boot_id";
        return File.Exists(Path) ? File.ReadAllText(Path) : "";
    }

    private void SumOfHost(void* first, long count, int elementBytes, int type)
    {
        if (count == 0) return;
        Upload(first, count * elementBytes, count * elementBytes);
        Check(NcclNative.AllReduce(_buffer, _buffer, (nuint)count, type, NcclNative.SumOperation, _communicator, 0), "ncclAllReduce");
        Wait("sum");
        Download(first, _buffer, count * elementBytes);
    }

    private void Upload(void* source, long bytes, long room)
    {
        if (_bufferBytes < room)
        {
            if (_buffer != 0) CheckCuda(CudaNative.Free(_buffer), "cuMemFree");
            (_buffer, _bufferBytes) = (0, 0);
            nint buffer = 0;
            CheckCuda(CudaNative.Allocate(&buffer, (nuint)room), "cuMemAlloc");
            (_buffer, _bufferBytes) = (buffer, room);
        }
        if (bytes > 0) CheckCuda(CudaNative.CopyToDevice(_buffer, source, (nuint)bytes), "cuMemcpyHtoD");
    }

    private static void Download(void* target, nint source, long bytes)
    {
        if (bytes > 0) CheckCuda(CudaNative.CopyToHost(target, source, (nuint)bytes), "cuMemcpyDtoH");
    }

    private void Wait(string what)
    {
        var begun = Stopwatch.GetTimestamp();
        for (var round = 0; ; round++)
        {
            var state = CudaNative.StreamQuery(0);
            int error;
            Check(NcclNative.CommGetAsyncError(_communicator, &error), "ncclCommGetAsyncError");
            if (error != NcclNative.InProgress) Check(error, what);
            if (state == 0) return;
            if (state != CudaNative.NotReady) CheckCuda(state, "cuStreamQuery");
            if (round < 64) Thread.SpinWait(64);
            else Thread.Sleep(round < 1024 ? 0 : 1);
            if ((round & 63) != 63) continue;
            _line.RequireAlive();
            if (Stopwatch.GetElapsedTime(begun) > _timeout) throw TooLong(what);
        }
    }

    private CollectiveException TooLong(string what)
        => new($"rank {Rank} of {Size} waited {_timeout.TotalSeconds:0} s for the other ranks (in a {what}): one of them hangs or the network is down; "
        + $"look at rank-*.error in the run folder, and raise {CollectiveTimeout.Variable} where a rank may take that long");

    private void Check(int code, string call)
    {
        if (code is 0 or NcclNative.InProgress) return;
        throw new CollectiveException($"{call} failed on rank {Rank} of {Size}: {Marshal.PtrToStringUTF8(NcclNative.GetErrorString(code)) ?? $"code {code}"}"
            + "; NCCL_DEBUG=INFO tells more");
    }

    private static void CheckCuda(int code, string call)
    {
        if (code == 0) return;
        nint text = 0;
        var reason = CudaNative.GetErrorString(code, &text) == 0 ? Marshal.PtrToStringUTF8(text) : null;
        throw new CollectiveException($"{call} failed: {reason ?? "unknown"} (code {code})");
    }
}
