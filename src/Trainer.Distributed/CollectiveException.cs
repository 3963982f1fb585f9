namespace Trainer.Distributed;

/// <summary>The ranks cannot go on together: one does not answer, or the transport failed.</summary>
public sealed class CollectiveException : Exception
{
    /// <summary>With the message for the user.</summary>
    public CollectiveException(string message)
        : base(message)
    {
    }

    /// <summary>With its cause.</summary>
    public CollectiveException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
