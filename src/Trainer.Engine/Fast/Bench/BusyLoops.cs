namespace Trainer.Engine.Fast.Bench;

/// <summary>Threads that do nothing but keep a core busy, as other programs would.</summary>
internal sealed class BusyLoops : IDisposable
{
    private readonly List<Thread> _threads = [];
    private bool _isOver;

    /// <summary>They run until the disposal.</summary>
    /// <param name="count">How many.</param>
    public BusyLoops(int count)
    {
        for (var i = 0; i < count; i++)
        {
            var thread = new Thread(Loop) { IsBackground = true, Name = $"busy loop {i + 1}" };
            thread.Start();
            _threads.Add(thread);
        }
    }

    public void Dispose()
    {
        Volatile.Write(ref _isOver, true);
        foreach (var thread in _threads) thread.Join();
    }

    private void Loop()
    {
        while (!Volatile.Read(ref _isOver))
        {
        }
    }
}
