namespace Trainer.Hub;

/// <summary>A fault that may pass: tried again after a pause, and only then told.</summary>
internal sealed class RetryException(string message, TimeSpan? wait = null) : Exception(message)
{
    /// <summary>The pause that the server asked for, or null.</summary>
    internal TimeSpan? Wait { get; } = wait;
}
