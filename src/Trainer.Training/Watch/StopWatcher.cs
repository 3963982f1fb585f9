namespace Trainer.Training;

/// <summary>Everything that may ask a run to stop or to save: the signal's token, files in the run folder, the time limit.</summary>
internal sealed class StopWatcher(string runDirectory, TimeSpan? maxTime, TimeProvider time, Func<int> signalExitCode, CancellationToken token)
{
    /// <summary>A file of this name in the run folder ends the run after the step that is being made, with a checkpoint.</summary>
    public const string StopName = "STOP";

    /// <summary>A file of this name in the run folder asks for a checkpoint now.</summary>
    public const string SaveName = "SAVE";

    private readonly long _begin = time.GetTimestamp();
    private readonly string _stopFile = Path.Combine(runDirectory, StopName);
    private readonly string _saveFile = Path.Combine(runDirectory, SaveName);

    /// <summary>Why the run should stop now, with the exit code, or null.</summary>
    public (string Reason, int ExitCode)? Asked()
    {
        if (token.IsCancellationRequested)
            return signalExitCode() == 143 ? ("terminated by SIGTERM", 143) : ("interrupted", 130);
        if (File.Exists(_stopFile)) return ("stopped by the file STOP", 130);
        if (maxTime is { } limit && time.GetElapsedTime(_begin) >= limit) return ("stopped by --max-time", 130);
        return null;
    }

    /// <summary>Whether a file SAVE asks for a checkpoint now.</summary>
    public bool SaveAsked() => File.Exists(_saveFile);

    /// <summary>Takes the answered request to save away; one to stop stays.</summary>
    public void ClearSave() => File.Delete(_saveFile);

    /// <summary>Takes the request files away, so that they do not stop the resumed run as well.</summary>
    public void Clear()
    {
        File.Delete(_stopFile);
        File.Delete(_saveFile);
    }
}
