using System.Runtime.ExceptionServices;
using Trainer.Engine.Native;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>Reads with several requests in flight: a fast disk works at its full rate only where the next ones wait in its queue already.</summary>
/// <remarks>
/// Requests begin in their order. Threads wait in the system for the disk and take no core. Of several faults that of the earliest request is thrown, and
/// requests that nobody has begun by then are left out; none is under way any more when <see cref="Run"/> returns.
/// </remarks>
internal static unsafe class BlockReads
{
    /// <summary>Requests in flight.</summary>
    public const int Flights = 4;

    // Large enough that a disk works at its full rate, small enough that a layer has some.
    private const long Part = 8 << 20;

    /// <summary>Neighbouring bytes of a file in requests, all but the last of one size.</summary>
    /// <param name="file">The file.</param>
    /// <param name="offset">First byte, at a block.</param>
    /// <param name="target">Where to, at a block.</param>
    /// <param name="length">Bytes, whole blocks.</param>
    /// <param name="needed">Bytes of them that must be there.</param>
    public static IEnumerable<BlockRequest> Cut(IBlockFile file, long offset, IntPtr target, long length, long needed)
    {
        for (long at = 0; at < needed; at += Part)
            yield return new(file, offset + at, target + (nint)at, Math.Min(Part, length - at), Math.Min(Part, needed - at));
    }

    /// <summary>Reads them all.</summary>
    /// <param name="requests">In the order in which they begin.</param>
    /// <param name="stop">Ends it between two requests.</param>
    /// <exception cref="OperationCanceledException">Asked to stop.</exception>
    public static void Run(IReadOnlyList<BlockRequest> requests, CancellationToken stop)
    {
        var run = new Reading(requests, stop);
        Thread[] others = [.. Enumerable.Range(1, Math.Max(0, Math.Min(Flights, requests.Count) - 1))
            .Select(number => new Thread(run.Take) { IsBackground = true, Name = $"weight reader {number + 1}" })];
        foreach (var thread in others) thread.Start();
        run.Take();
        foreach (var thread in others) thread.Join();
        run.Throw();
    }

    private sealed class Reading(IReadOnlyList<BlockRequest> requests, CancellationToken stop)
    {
        private readonly Lock _gate = new();
        private int _next;
        private int _faulty = int.MaxValue;
        private ExceptionDispatchInfo? _fault;

        public void Take()
        {
            while (Next() is { } index)
            {
                try
                {
                    var (file, offset, target, length, needed) = requests[index];
                    file.Read(offset, (byte*)target, length, needed, stop);
                }
#pragma warning disable CA1031 // an exception on a thread of its own would end the process: it is kept and thrown where the layer is loaded
                catch (Exception fault)
#pragma warning restore CA1031
                {
                    Keep(index, fault);
                }
            }
        }

        public void Throw() => _fault?.Throw();

        private int? Next()
        {
            lock (_gate) return _fault is null && _next < requests.Count ? _next++ : null;
        }

        private void Keep(int index, Exception fault)
        {
            lock (_gate)
            {
                if (index >= _faulty) return;
                (_faulty, _fault) = (index, ExceptionDispatchInfo.Capture(fault));
            }
        }
    }
}
