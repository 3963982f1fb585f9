namespace Trainer.Training.Rollouts;

/// <summary>A reward program failed: it ended, hung, or answered what is no reward.</summary>
/// <param name="message">What happened, to which row, and what to do.</param>
/// <param name="isBadAnswer">Whether it answered, and the answer is at fault.</param>
public sealed class RewardException(string message, bool isBadAnswer) : Exception(message)
{
    /// <summary>Whether it answered, and the answer is at fault.</summary>
    public bool IsBadAnswer { get; } = isBadAnswer;

    /// <summary>Whether the run had made no step: nothing of it is kept.</summary>
    public bool IsFirst { get; init; }
}
