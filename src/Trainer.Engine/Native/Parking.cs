using System.Diagnostics;

namespace Trainer.Engine.Native;

/// <summary>Where one thread sleeps until another has something for it: a short bounded spin first, then the operating system's sleep.</summary>
/// <remarks>
/// A thread that spins for long takes the core from whoever has the work: beside other busy processes that is what makes a step several times as long.
/// One that sleeps at once pays a wake-up for each of the thousands of loops of a step. So it looks for some microseconds, then sleeps.
/// </remarks>
internal sealed class Parking
{
    private const int LooksPerClock = 16;
    private const int Pause = 8;

    private readonly object _bed = new();
    private int _isAsleep;
    private bool _isOpen;

    /// <summary>Returns when the condition holds. Whoever makes it hold must call <see cref="Wake"/> after that.</summary>
    /// <param name="condition">Must be cheap: it is looked at many times.</param>
    /// <param name="spinTicks">How long to look before sleeping, in ticks of <see cref="Stopwatch"/>.</param>
    public void WaitFor(Func<bool> condition, long spinTicks)
    {
        if (condition()) return;
        for (var until = Stopwatch.GetTimestamp() + spinTicks; Stopwatch.GetTimestamp() < until;)
        {
            for (var i = 0; i < LooksPerClock; i++)
            {
                if (condition()) return;
                Thread.SpinWait(Pause);
            }
        }
        while (!condition())
        {
            // A full fence: either the other sees that this one sleeps, or this one sees that the condition holds.
            Interlocked.Exchange(ref _isAsleep, 1);
            if (condition() && Interlocked.Exchange(ref _isAsleep, 0) == 1) return;
            Sleep();
        }
    }

    /// <summary>Wakes the thread if it sleeps; a few nanoseconds where it does not.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref _isAsleep, 0) == 0) return;
        lock (_bed)
        {
            _isOpen = true;
            Monitor.Pulse(_bed);
        }
    }

    private void Sleep()
    {
        var isInterrupted = false;
        lock (_bed)
        {
            while (!_isOpen)
            {
                try
                {
                    Monitor.Wait(_bed);
                }
                catch (ThreadInterruptedException)
                {
                    // Whoever waits for a loop must not leave while others write into its memory: the interruption comes after it.
                    isInterrupted = true;
                }
            }
            _isOpen = false;
        }
        if (isInterrupted) Thread.CurrentThread.Interrupt();
    }
}
