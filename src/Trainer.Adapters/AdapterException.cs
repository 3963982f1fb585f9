namespace Trainer.Adapters;

/// <summary>An adapter folder that cannot be used. The message is the finished sentence shown to the user.</summary>
public sealed class AdapterException : Exception
{
    /// <summary>Makes the fault.</summary>
    /// <param name="message">What, where, why and what to do; lower-case start, no full stop.</param>
    /// <param name="innerException">What caused it, or null.</param>
    public AdapterException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
