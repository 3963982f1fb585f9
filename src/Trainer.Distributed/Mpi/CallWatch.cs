using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Distributed.Mpi;

/// <summary>
/// Ends this process where a call of the MPI library does not come back. The start and the end of the library wait inside it, and any call may stand still
/// while a rank of the same machine that holds a lock of the shared memory is stopped: no deadline between calls is reached then.
/// </summary>
internal sealed partial class CallWatch : IDisposable
{
    // What another rank's failure ends with.
    private const int ExitCode = 70;

    private readonly TimeSpan _limit;
    private readonly Action<string> _tell;
    private readonly Timer _timer;
    private string _call = "";
    private long _begun;

    /// <param name="limit">The longest that a call may take.</param>
    /// <param name="tell">Says why this process ends.</param>
    public CallWatch(TimeSpan limit, Action<string> tell)
    {
        (_limit, _tell) = (limit, tell);
        var period = TimeSpan.FromSeconds(Math.Clamp(limit.TotalSeconds / 4, 0.25, 5));
        _timer = new Timer(_ => Look(), null, period, period);
    }

    /// <summary>Begins a call; it ends when what is returned is disposed.</summary>
    /// <param name="call">What is waited in, as the message names it.</param>
    public Call Of(string call)
    {
        _call = call;
        Volatile.Write(ref _begun, Stopwatch.GetTimestamp());
        return new Call(this);
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        if (Volatile.Read(ref _begun) is not 0 and var begun && Stopwatch.GetElapsedTime(begun) > _limit) End();
    }

    // Nothing of this process can be trusted to end in order: its main thread stands in the library.
    private void End()
    {
        _tell($"the MPI library did not come back within {_limit.TotalSeconds:0} s (in {_call}): another rank hangs or was stopped, or the network is down; "
            + $"continue with --resume, and raise {CollectiveTimeout.Variable} where a rank may take that long");
        if (!OperatingSystem.IsWindows()) Exit(ExitCode);
        Process.GetCurrentProcess().Kill();
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);

    /// <summary>One call.</summary>
    public readonly ref struct Call(CallWatch watch)
    {
        public void Dispose() => Volatile.Write(ref watch._begun, 0);
    }
}
