namespace Trainer.Distributed;

/// <summary>A library or launcher that a distributed run needs is not there, or the two do not belong together.</summary>
public sealed class MissingLibraryException : Exception
{
    /// <summary>With the message for the user.</summary>
    public MissingLibraryException(string message)
        : base(message)
    {
    }
}
