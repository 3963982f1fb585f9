namespace Trainer.Training;

/// <summary>What a run would be resumed with is not what it was started with (exit code 2).</summary>
public sealed class DriftException : Exception
{
    /// <summary>Makes the fault with its finished sentence.</summary>
    /// <param name="message">The sentence, as it is shown after <c>error: </c>.</param>
    public DriftException(string message)
        : base(message)
    {
    }
}
