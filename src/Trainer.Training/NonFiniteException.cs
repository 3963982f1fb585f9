namespace Trainer.Training;

/// <summary>NaN or infinity in a loss, a gradient or a weight; the update was not applied (exit code 3).</summary>
public sealed class NonFiniteException : Exception
{
    /// <summary>Makes the fault with its finished sentence.</summary>
    /// <param name="message">The sentence: step, rows, layer and tensor, last good checkpoint.</param>
    /// <param name="replayDirectory">The replay bundle, or null where none could be written.</param>
    public NonFiniteException(string message, string? replayDirectory = null)
        : base(message) => ReplayDirectory = replayDirectory;

    /// <summary>The folder that <c>trainer replay</c> re-executes as this single step.</summary>
    public string? ReplayDirectory { get; }
}
