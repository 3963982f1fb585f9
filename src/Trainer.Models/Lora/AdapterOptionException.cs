namespace Trainer.Models.Lora;

/// <summary>Adapter options that do not fit the model. The message is the finished sentence shown to the user.</summary>
public sealed class AdapterOptionException : Exception
{
    /// <summary>Makes the fault.</summary>
    /// <param name="message">What, where, why and what to do; lower-case start, no full stop.</param>
    /// <param name="innerException">What caused it, or null.</param>
    public AdapterOptionException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
