namespace Trainer.Training.Watch;

/// <summary>What ends a run before its first step: the signal's token or the time limit. Nothing of it is worth keeping then.</summary>
internal sealed class EarlyStop : IDisposable
{
    private readonly Func<int> _signalExitCode;
    private readonly CancellationToken _signal;
    private readonly CancellationTokenSource _source;

    /// <param name="maxTime">The time limit from now on, or null.</param>
    /// <param name="signalExitCode">Tells which signal it was.</param>
    /// <param name="signal">The signal's token.</param>
    public EarlyStop(TimeSpan? maxTime, Func<int> signalExitCode, CancellationToken signal)
    {
        (_signalExitCode, _signal) = (signalExitCode, signal);
        _source = CancellationTokenSource.CreateLinkedTokenSource(signal);
        // A timer takes no more than 24 days; whoever loads for longer is not held up by its lack.
        if (maxTime is { } limit && limit.TotalMilliseconds < int.MaxValue) _source.CancelAfter(limit);
    }

    public CancellationToken Token => _source.Token;

    /// <summary>Whether a fault is nothing but this stop, from however many threads.</summary>
    public bool IsCauseOf(Exception fault) =>
        _source.IsCancellationRequested && (fault is OperationCanceledException || (fault is AggregateException all && all.InnerExceptions.All(IsCauseOf)));

    /// <summary>The stop as the run's end.</summary>
    public RunInterruptedException Interruption(string? kept = null) => new(
        $"{(_signal.IsCancellationRequested ? StopWatcher.ReasonOf(_signalExitCode()) : StopWatcher.TimeIsOver)} before the first "
        + $"step; {kept ?? "nothing is kept, the same command begins again"}",
        _signal.IsCancellationRequested ? _signalExitCode() : 130,
        null);

    public void Dispose() => _source.Dispose();
}
