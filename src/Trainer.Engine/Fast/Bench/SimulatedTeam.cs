using System.Diagnostics;
using Trainer.Engine.Native;

namespace Trainer.Engine.Fast.Bench;

/// <summary>
/// A team of as many threads as wanted, on one core: loops are cut for them, the chunks run one after the other, and <see cref="BenchClock"/> goes on by what
/// the model says the team had taken. What is not in a loop takes the time it takes.
/// </summary>
internal sealed class SimulatedTeam : ILoopRunner, IDisposable
{
    private readonly TeamModel _model;
    private readonly List<double> _chunks = [];

    /// <summary>From here to its disposal the loops of the engine run so.</summary>
    /// <param name="model">The team.</param>
    public SimulatedTeam(TeamModel model)
    {
        _model = model;
        ComputeThreads.Runner = this;
    }

    public int Threads => _model.Workers;

    /// <summary>What ran so far.</summary>
    public TeamCounts Counts { get; private set; } = new(0, 0, 0, 0, 0);

    public void Run(long begin, long end, long chunk, Action<int, long, long> body)
    {
        var begun = BenchClock.Raw;
        _chunks.Clear();
        ComputeThreads.Inside(0, slot =>
        {
            for (var from = begin; from < end; from += chunk)
            {
                var start = BenchClock.Raw;
                body(slot, from, Math.Min(end, from + chunk));
                _chunks.Add(BenchClock.Seconds(BenchClock.Raw - start));
            }
        });
        var seconds = _model.Seconds(_chunks);
        var isNarrow = _chunks.Count < Threads;
        Counts = new(Counts.Loops + 1, Counts.Chunks + _chunks.Count, Counts.LoopSeconds + seconds, Counts.NarrowLoops + (isNarrow ? 1 : 0),
            Counts.NarrowSeconds + (isNarrow ? seconds : 0));
        BenchClock.PassLoop(begun, BenchClock.Ticks(seconds));
    }

    public void Dispose() => ComputeThreads.Runner = null;

    /// <summary>Seconds that a loop costs two threads of this machine besides its work: the tenth of many in order whose two chunks wait for each
    /// other to begin, since one of them waits for a core where others are busy; 0 where there is one core.</summary>
    public static double ForkJoinOfTwo()
    {
        const int loops = 2001;
        // Where the team got no second thread nobody would come.
        var patience = Stopwatch.Frequency / 20;
        if (Environment.ProcessorCount < 2) return 0;
        var times = new double[loops];
        for (var i = 0; i < loops; i++)
        {
            var begun = 0;
            var loop = new TeamLoop(0, 2, 1, (_, _, _) =>
            {
                Interlocked.Increment(ref begun);
                var until = Stopwatch.GetTimestamp() + patience;
                for (var spin = default(SpinWait); Volatile.Read(ref begun) < 2 && Stopwatch.GetTimestamp() < until;) spin.SpinOnce(sleep1Threshold: -1);
            }) { Threads = 2 };
            var start = Stopwatch.GetTimestamp();
            ComputeThreads.Inside(0, _ => ThreadTeam.Shared.Run(loop));
            times[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        Array.Sort(times);
        return times[loops / 10];
    }
}
