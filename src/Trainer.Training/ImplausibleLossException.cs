namespace Trainer.Training;

/// <summary>The first loss of a pretrained base says that base, tokenizer or data do not belong together (exit code 65).</summary>
public sealed class ImplausibleLossException : Exception
{
    /// <summary>Makes the fault with its finished sentence.</summary>
    /// <param name="message">The sentence, as it is shown after <c>error: </c>.</param>
    public ImplausibleLossException(string message)
        : base(message)
    {
    }
}
