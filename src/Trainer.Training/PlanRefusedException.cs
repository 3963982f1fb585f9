namespace Trainer.Training;

/// <summary>The plan says that the run cannot finish on this machine (exit code 4).</summary>
public sealed class PlanRefusedException : Exception
{
    /// <summary>Makes the fault with its finished sentence.</summary>
    /// <param name="message">The sentence, as it is shown after <c>error: </c>.</param>
    public PlanRefusedException(string message)
        : base(message)
    {
    }
}
