namespace Trainer.Data;

/// <summary>Bad data: the message is the finished sentence, naming file, line and column (exit code 65).</summary>
public sealed class DataException : Exception
{
    /// <summary>Makes a fault a user can act on.</summary>
    /// <param name="message"><c>what (where): why; what to do</c>, without a full stop.</param>
    /// <param name="inner">What the library below said, or null.</param>
    public DataException(string message, Exception? inner = null) : base(message, inner) { }
}
