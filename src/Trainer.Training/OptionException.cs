namespace Trainer.Training;

/// <summary>An option, or a pair of options, that cannot be carried out (exit code 2).</summary>
public sealed class OptionException : Exception
{
    /// <summary>Makes the fault with its finished sentence.</summary>
    /// <param name="message">The sentence, as it is shown after <c>error: </c>.</param>
    public OptionException(string message)
        : base(message)
    {
    }
}
