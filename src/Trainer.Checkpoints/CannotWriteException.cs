namespace Trainer.Checkpoints;

/// <summary>A file or folder that could not be written: full disk, read-only place, missing right; nothing half-written is left behind.</summary>
public sealed class CannotWriteException : Exception
{
    /// <summary>Makes the exception from a sentence that names the path, the reason and what to do.</summary>
    public CannotWriteException(string message) : base(message) { }

    /// <summary>As the other, keeping the fault that led here.</summary>
    public CannotWriteException(string message, Exception inner) : base(message, inner) { }
}
