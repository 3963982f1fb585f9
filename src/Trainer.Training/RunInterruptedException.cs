namespace Trainer.Training;

/// <summary>The run was asked to stop and left a checkpoint to continue from (exit code 130, or 143 after SIGTERM).</summary>
public sealed class RunInterruptedException : Exception
{
    /// <summary>Makes the interruption.</summary>
    /// <param name="message">What stopped the run, at which step, and how to continue.</param>
    /// <param name="exitCode">130 for SIGINT, a STOP file or the time limit; 143 for SIGTERM.</param>
    /// <param name="checkpointDirectory">The checkpoint that was written, or null before the first step.</param>
    public RunInterruptedException(string message, int exitCode, string? checkpointDirectory)
        : base(message)
    {
        ExitCode = exitCode;
        CheckpointDirectory = checkpointDirectory;
    }

    /// <summary>The program's exit code.</summary>
    public int ExitCode { get; }

    /// <summary>The checkpoint to continue from.</summary>
    public string? CheckpointDirectory { get; }
}
