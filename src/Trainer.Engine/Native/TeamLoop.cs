using System.Runtime.ExceptionServices;

namespace Trainer.Engine.Native;

/// <summary>One loop that several threads go through: chunks are taken one after the other by whoever is free, so nobody waits for the slowest core longer
/// than a chunk takes.</summary>
internal sealed class TeamLoop
{
    private readonly long _begin, _end, _chunk, _count;
    private readonly Action<int, long, long> _body;
    private readonly Parking _done = new();
    private readonly Func<bool> _isDone;
    private long _next;
    private long _left;
    private long _faulty = long.MaxValue;
    private ExceptionDispatchInfo? _fault;

    /// <param name="begin">First index.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="chunk">Indices that are taken at a time.</param>
    /// <param name="body">Takes the number of the thread, and a chunk's begin and end.</param>
    public TeamLoop(long begin, long end, long chunk, Action<int, long, long> body)
    {
        (_begin, _end, _chunk, _body) = (begin, end, chunk, body);
        _left = _count = (end - begin + chunk - 1) / chunk;
        _isDone = () => Volatile.Read(ref _left) == 0;
    }

    /// <summary>Chunks in all.</summary>
    public long Count => _count;

    /// <summary>Threads that may take part, the caller's own included.</summary>
    public int Threads { get; init; } = int.MaxValue;

    /// <summary>Takes chunks until none is left. An exception of the body is kept, and chunks that nobody has begun are left out.</summary>
    /// <param name="slot">Number of the thread.</param>
    public void Work(int slot)
    {
        for (long index; (index = Interlocked.Increment(ref _next) - 1) < _count;)
        {
            try
            {
                if (Volatile.Read(ref _faulty) == long.MaxValue) _body(slot, _begin + index * _chunk, Math.Min(_end, _begin + (index + 1) * _chunk));
            }
#pragma warning disable CA1031 // an exception on a thread of the team would end the process: it is kept and thrown again by the caller
            catch (Exception fault)
#pragma warning restore CA1031
            {
                Keep(index, fault);
            }
            if (Interlocked.Decrement(ref _left) == 0) _done.Wake();
        }
    }

    /// <summary>Waits for the chunks that others have begun; throws what the first faulty one threw.</summary>
    /// <param name="spinTicks">How long to look before sleeping.</param>
    public void Join(long spinTicks)
    {
        _done.WaitFor(_isDone, spinTicks);
        _fault?.Throw();
    }

    // Of several faults that of the earliest chunk is told.
    private void Keep(long index, Exception fault)
    {
        lock (_done)
        {
            if (index >= _faulty) return;
            _fault = ExceptionDispatchInfo.Capture(fault);
            Volatile.Write(ref _faulty, index);
        }
    }
}
