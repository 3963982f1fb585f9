using System.Diagnostics;
using Trainer.Numerics.Machine;

namespace Trainer.Engine.Native;

/// <summary>Threads that help whoever has a loop: made when first needed, kept for the life of the process, asleep while there is nothing to do.</summary>
/// <remarks>
/// One loop runs at a time. Who comes while it runs, from a second decoder or from inside a loop, goes through its own loop alone: bits are the same, nobody
/// waits, and there are never more threads at work than the team has and callers.
/// A thread that wakes late finds no chunk left and sleeps again; the loop does not wait for it. Background threads do not hold the process at its end.
/// </remarks>
internal sealed class ThreadTeam
{
    // A loop's end is often followed by the next one's begin some microseconds later; a wake-up takes five to fifty.
    private static readonly long Spin = Stopwatch.Frequency / 1_000_000 * 30;
    // A caller that wakes 63 threads one by one has done half of a small loop meanwhile: some are woken and wake the others.
    private const int Fanout = 8;
    private const int StackBytes = 4 << 20;

    private Worker[] _workers = [];
    private TeamLoop? _loop;
    private long _spin = Spin;
    private int _epoch;
    private int _isTaken;

    /// <summary>The team of this process.</summary>
    public static ThreadTeam Shared { get; } = new();

    /// <summary>Threads that were made so far, the callers apart.</summary>
    public int Workers => Volatile.Read(ref _workers).Length;

    /// <summary>Runs a loop with the caller and as many workers as it has chunks for; throws what its body throws.</summary>
    /// <param name="loop">The loop.</param>
    public void Run(TeamLoop loop)
    {
        var helpers = (int)Math.Min(loop.Threads, loop.Count) - 1;
        if (helpers <= 0 || Interlocked.CompareExchange(ref _isTaken, 1, 0) != 0)
        {
            loop.Work(0);
            loop.Join(0);
            return;
        }
        // More threads than cores: who spins takes the core from who works.
        var spin = loop.Threads <= MachineLimits.Processors ? Spin : 0;
        try
        {
            Volatile.Write(ref _spin, spin);
            helpers = Math.Min(helpers, Reach(helpers));
            Volatile.Write(ref _loop, loop);
            Interlocked.Increment(ref _epoch);
            Wake(0, Math.Min(helpers, Fanout));
            loop.Work(0);
            loop.Join(spin);
        }
        finally
        {
            Volatile.Write(ref _loop, null);
            Volatile.Write(ref _isTaken, 0);
        }
    }

    // Makes the workers that are missing; where the system gives no more threads those that are there must do. Only who has taken the team comes here.
    private int Reach(int wanted)
    {
        for (var count = _workers.Length; count < wanted; count++)
        {
            var worker = new Worker(this, count);
            try
            {
                new Thread(worker.Live, StackBytes) { IsBackground = true, Name = $"trainer compute {count + 1}" }.Start();
            }
            catch (Exception fault) when (fault is OutOfMemoryException or ThreadStartException)
            {
                break;
            }
            Volatile.Write(ref _workers, [.. _workers, worker]);
        }
        return _workers.Length;
    }

    private void Wake(int first, int end)
    {
        var workers = Volatile.Read(ref _workers);
        for (var i = first; i < Math.Min(end, workers.Length); i++) workers[i].Parking.Wake();
    }

    private sealed class Worker(ThreadTeam team, int index)
    {
        private int _seen;

        public Parking Parking { get; } = new();

        public void Live()
        {
            SerialBlas.EnterForGood();
            var isNews = () => Volatile.Read(ref team._epoch) != _seen;
            while (true)
            {
                Parking.WaitFor(isNews, Volatile.Read(ref team._spin));
                _seen = Volatile.Read(ref team._epoch);
                if (Volatile.Read(ref team._loop) is not { } loop) continue;
                var helpers = (int)Math.Min(loop.Threads, loop.Count) - 1;
                if (index >= helpers) continue;
                if (index < Fanout && helpers > Fanout) WakeMine(helpers);
                ComputeThreads.Inside(index + 1, loop.Work);
            }
        }

        // Of those behind the first eight each wakes every eighth.
        private void WakeMine(int helpers)
        {
            for (var i = Fanout + index; i < helpers; i += Fanout) team.Wake(i, i + 1);
        }
    }
}
