namespace Trainer.Engine.Fast.Bench;

/// <summary>How long a team of threads would take for a loop whose chunks' times are known.</summary>
/// <param name="Workers">Threads of the team.</param>
/// <param name="ForkJoin">Seconds that beginning and ending a loop together cost.</param>
/// <remarks>
/// Chunks are taken in their order by whoever is free first, as the team does it. Not modelled: memory and caches that cores share, cores that slow down when
/// many work, and cores that other programs take.
/// </remarks>
public sealed record TeamModel(int Workers, double ForkJoin)
{
    /// <summary>Fork and join of a larger team, from what was measured with two threads: it grows with the logarithm, since the news goes from thread to
    /// thread.</summary>
    /// <param name="workers">Threads of the team.</param>
    /// <param name="ofTwo">Seconds with two threads.</param>
    public static TeamModel Of(int workers, double ofTwo) => new(workers, workers == 1 ? 0 : ofTwo * Math.Log2(workers));

    /// <summary>Seconds for a loop. Who has the loop goes through it alone where that is quicker: nobody waits for threads that still wake up.</summary>
    /// <param name="chunks">Seconds of each chunk, in the order in which they are taken.</param>
    public double Seconds(IReadOnlyList<double> chunks)
    {
        var alone = chunks.Sum();
        if (Workers == 1 || chunks.Count <= 1) return alone;
        var free = new PriorityQueue<int, double>();
        for (var worker = 0; worker < Math.Min(Workers, chunks.Count); worker++) free.Enqueue(worker, 0);
        double last = 0;
        foreach (var chunk in chunks)
        {
            free.TryDequeue(out var worker, out var since);
            free.Enqueue(worker, since + chunk);
            last = Math.Max(last, since + chunk);
        }
        return Math.Min(alone, last + ForkJoin);
    }
}
