namespace Trainer.Engine.Native;

/// <summary>Goes through loops in another way than the team does.</summary>
internal interface ILoopRunner
{
    /// <summary>Threads that loops are cut for.</summary>
    int Threads { get; }

    /// <summary>Goes through all chunks of a loop.</summary>
    /// <param name="begin">First index.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="chunk">Indices of a chunk.</param>
    /// <param name="body">Takes the number of the thread, and a chunk's begin and end.</param>
    void Run(long begin, long end, long chunk, Action<int, long, long> body);
}
