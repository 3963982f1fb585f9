namespace Trainer.Tokenizers;

/// <summary>A tokenizer file that cannot be used, or a text that the tokenizer cannot encode; the message is a finished sentence.</summary>
public sealed class TokenizerException : Exception
{
    /// <summary>Makes the exception from its finished message.</summary>
    /// <param name="message">What was wrong, where, and what to do.</param>
    public TokenizerException(string message) : base(message) { }

    /// <summary>Makes the exception from its finished message and the fault below it.</summary>
    /// <param name="message">What was wrong, where, and what to do.</param>
    /// <param name="inner">The fault that was met.</param>
    public TokenizerException(string message, Exception inner) : base(message, inner) { }
}
