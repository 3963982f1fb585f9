namespace Trainer.Checkpoints;

/// <summary>A model, adapter or checkpoint file that is damaged, incomplete or contradicts itself; the message is the finished sentence.</summary>
public sealed class BadFileException : Exception
{
    /// <summary>Makes the exception from a sentence that names the file, the place in it and what to do.</summary>
    public BadFileException(string message) : base(message) { }

    /// <summary>As the other, keeping the fault that led here.</summary>
    public BadFileException(string message, Exception inner) : base(message, inner) { }
}
