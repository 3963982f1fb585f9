namespace Trainer.Training.Watch;

/// <summary>Everything that may ask a run to stop or to save: the signal's token, files in the run folder, the time limit.</summary>
/// <param name="runDirectory">Where the files STOP and SAVE may appear, or null where another rank looks for them.</param>
/// <param name="maxTime">The time limit, or null.</param>
/// <param name="time">The clock.</param>
/// <param name="began">The clock's timestamp when the command began: reading data and loading count too.</param>
/// <param name="signalExitCode">130 or 143, once the token is cancelled.</param>
/// <param name="token">Cancelled by a signal.</param>
internal sealed class StopWatcher(string? runDirectory, TimeSpan? maxTime, TimeProvider time, long began, Func<int> signalExitCode, CancellationToken token)
{
    /// <summary>A file of this name in the run folder ends the run after the step that is being made, with a checkpoint.</summary>
    public const string StopName = "STOP";

    /// <summary>A file of this name in the run folder asks for a checkpoint now.</summary>
    public const string SaveName = "SAVE";

    private readonly string? _stopFile = runDirectory is null ? null : Path.Combine(runDirectory, StopName);
    private readonly string? _saveFile = runDirectory is null ? null : Path.Combine(runDirectory, SaveName);

    /// <summary>Why a run ended whose time was over.</summary>
    public const string TimeIsOver = "stopped by --max-time";

    /// <summary>A signal in words.</summary>
    public static string ReasonOf(int exitCode) => exitCode == 143 ? "terminated" : "interrupted";

    /// <summary>Why the run should stop now, with the exit code, or null.</summary>
    public (string Reason, int ExitCode)? Asked()
    {
        if (token.IsCancellationRequested)
            return (ReasonOf(signalExitCode()), signalExitCode());
        if (File.Exists(_stopFile)) return ("stopped by the file STOP", 130);
        if (maxTime is { } limit && time.GetElapsedTime(began) >= limit) return (TimeIsOver, 130);
        return null;
    }

    /// <summary>Whether a file SAVE asks for a checkpoint now.</summary>
    public bool SaveAsked() => File.Exists(_saveFile);

    /// <summary>Takes the answered request to save away; one to stop stays.</summary>
    public void ClearSave()
    {
        if (_saveFile is not null) File.Delete(_saveFile);
    }

    /// <summary>Takes the request files away, so that they do not stop the resumed run as well.</summary>
    public void Clear()
    {
        if (_stopFile is not null) File.Delete(_stopFile);
        ClearSave();
    }
}
