namespace Trainer.Hub;

/// <summary>A model that is not here, or cannot be fetched; the message is the finished sentence and says what to type.</summary>
public sealed class NotAvailableException : Exception
{
    /// <summary>Makes the exception from the finished sentence.</summary>
    public NotAvailableException(string message) : base(message) { }

    /// <summary>As the other, keeping the fault that led here.</summary>
    public NotAvailableException(string message, Exception inner) : base(message, inner) { }
}
