using System.Runtime.InteropServices;

namespace Trainer.Cli.CommandLine;

/// <summary>
/// Turns SIGINT, SIGTERM and SIGHUP into a cancellation. The command then has a short time to end; one that is in the middle of a step which a
/// checkpoint must follow has all it needs. The second signal ends the process at once.
/// </summary>
internal sealed class StopSignal : IDisposable
{
    /// <summary>What a command may take to end by itself where nothing of its work is lost by ending it.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(1.5);

    private static readonly TimeSpan LeaveTime = TimeSpan.FromSeconds(0.2);
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private Action<string> _say;
    private bool _isWatched;
    private int _seen;

    /// <param name="say">Where the answer to a signal goes.</param>
    public StopSignal(Action<string> say)
    {
        _say = say;
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, context => OnSignal(context, Cli.ExitCode.Interrupted)));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => OnSignal(context, Cli.ExitCode.Terminated)));
        // A closed terminal or a dropped connection; `nohup` asks to live through it.
        if (!IgnoresHangup()) _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => OnSignal(context, Cli.ExitCode.Terminated)));
    }

    public CancellationToken Token => _source.Token;

    /// <summary>130 or 143 once a signal came, else null.</summary>
    public int? ExitCode { get; private set; }

    /// <summary>What the first signal is answered with; true of the phase that the command is in.</summary>
    public string Words { get; set; } = "stopping; once more to stop at once";

    /// <summary>Whether ending the process now would lose work that the command is about to keep.</summary>
    public bool MustFinish { get; set; }

    /// <summary>Asked first at SIGINT: true where something smaller than the command was there to be stopped, and was.</summary>
    public Func<bool> Interrupt { get; set; } = () => false;

    /// <summary>Leaves the terminal as it was found, before the process ends in the middle of something.</summary>
    public Action Leave { get; set; } = () => { };

    /// <summary>The command looks at the token from now on; one that does not ends at the first signal.</summary>
    /// <param name="words">See <see cref="Words"/>; empty says nothing.</param>
    /// <param name="say">Where the answer goes; null leaves it as it was.</param>
    public void Watch(string? words = null, Action<string>? say = null)
    {
        if (words is not null) Words = words;
        if (say is not null) _say = say;
        _isWatched = true;
    }

    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _source.Dispose();
    }

    private void OnSignal(PosixSignalContext context, int exitCode)
    {
        context.Cancel = true;
        if (context.Signal == PosixSignal.SIGINT && Interrupt()) return;
        ExitCode ??= exitCode;
        if (Interlocked.Increment(ref _seen) > 1 || !_isWatched)
        {
            End(exitCode);
            return;
        }
        if (Words.Length > 0) _say(Words);
        _source.Cancel();
        _ = EndAfterGrace(exitCode);
    }

    private async Task EndAfterGrace(int exitCode)
    {
        await Task.Delay(Grace).ConfigureAwait(false);
        if (!MustFinish) End(exitCode);
    }

    private void End(int exitCode)
    {
        Task.Run(Leave).Wait(LeaveTime);
        ProcessExit.Now(exitCode);
    }

    private static bool IgnoresHangup()
    {
        try
        {
            const string Key = "SigIgn:";
            var line = OperatingSystem.IsLinux() ? File.ReadLines("/proc/self/status").FirstOrDefault(text => text.StartsWith(Key, StringComparison.Ordinal))
                : null;
            // A mask in hexadecimal; SIGHUP is signal 1, the lowest bit.
            return line is not null && "13579bdf".Contains(line[^1], StringComparison.Ordinal);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
