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
        TorchThreads.Runner = this;
    }

    public int Threads => _model.Workers;

    /// <summary>Loops so far.</summary>
    public long Loops { get; private set; }

    /// <summary>Chunks so far.</summary>
    public long Chunks { get; private set; }

    public void Run(long begin, long end, long chunk, Action<int, long, long> body)
    {
        var begun = BenchClock.Raw;
        _chunks.Clear();
        TorchThreads.Inside(0, slot =>
        {
            for (var from = begin; from < end; from += chunk)
            {
                var start = BenchClock.Raw;
                body(slot, from, Math.Min(end, from + chunk));
                _chunks.Add(BenchClock.Seconds(BenchClock.Raw - start));
            }
        });
        (Loops, Chunks) = (Loops + 1, Chunks + _chunks.Count);
        var modelled = BenchClock.Ticks(_model.Seconds(_chunks));
        BenchClock.Skip(BenchClock.Raw - begun - modelled);
    }

    public void Dispose() => TorchThreads.Runner = null;

    /// <summary>Seconds that a loop with nothing to do costs two threads of this machine: the median of many; 0 where there is one core.</summary>
    public static double ForkJoinOfTwo()
    {
        const int loops = 2001;
        if (Environment.ProcessorCount < 2) return 0;
        var times = new double[loops];
        for (var i = 0; i < loops; i++)
        {
            var start = Stopwatch.GetTimestamp();
            TorchThreads.Inside(0, _ => ThreadTeam.Shared.Run(new TeamLoop(0, 2, 1, (_, _, _) => { }) { Threads = 2 }));
            times[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        Array.Sort(times);
        return times[loops / 2];
    }
}
