namespace Trainer.Training;

/// <summary>The memory limit was reached; a checkpoint was written (exit code 75).</summary>
public sealed class MemoryLimitException : Exception
{
    /// <summary>Makes the fault with its finished sentence.</summary>
    /// <param name="message">The sentence, as it is shown after <c>error: </c>.</param>
    public MemoryLimitException(string message)
        : base(message)
    {
    }
}
