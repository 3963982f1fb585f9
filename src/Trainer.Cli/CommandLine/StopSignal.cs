using System.Runtime.InteropServices;

namespace Trainer.Cli.CommandLine;

/// <summary>Turns SIGINT and SIGTERM into a cancellation; the second one ends the process at once.</summary>
internal sealed class StopSignal : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    /// <summary>Where the answer to the first signal goes.</summary>
    public Action<string> Say { get; set; }

    /// <summary>Asked first at SIGINT: true where something smaller than the command was there to be stopped, and was.</summary>
    public Func<bool> Interrupt { get; set; } = () => false;

    private int _seen;

    public StopSignal(Action<string> say)
    {
        Say = say;
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, context => OnSignal(context, Cli.ExitCode.Interrupted)));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => OnSignal(context, Cli.ExitCode.Terminated)));
    }

    public CancellationToken Token => _source.Token;

    /// <summary>130 or 143 once a signal came, else null.</summary>
    public int? ExitCode { get; private set; }

    /// <summary>Whether the command looks at the token; one that does not ends at the first signal.</summary>
    public bool IsWatched { get; set; }

    private void OnSignal(PosixSignalContext context, int exitCode)
    {
        context.Cancel = true;
        if (context.Signal == PosixSignal.SIGINT && Interrupt()) return;
        ExitCode = exitCode;
        if (Interlocked.Increment(ref _seen) > 1 || !IsWatched) Environment.Exit(exitCode);
        Say("stopping after this step with a checkpoint; once more to stop at once");
        _source.Cancel();
    }

    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _source.Dispose();
    }
}
