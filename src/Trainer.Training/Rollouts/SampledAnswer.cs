namespace Trainer.Training.Rollouts;

/// <summary>An answer that the model made up to a prompt.</summary>
/// <param name="Tokens">Its ids, the one that ended it among them; at least one.</param>
/// <param name="Text">The same as text, without special tokens.</param>
/// <param name="IsTruncated">Whether its length ended it, and no token of its own.</param>
internal sealed record SampledAnswer(int[] Tokens, string Text, bool IsTruncated);
