namespace Trainer.Training;

/// <summary>What an evaluation measured.</summary>
/// <param name="Loss">Mean token loss over all trained tokens (nats).</param>
/// <param name="Perplexity">Its exponential.</param>
/// <param name="Tokens">Tokens read.</param>
/// <param name="TrainedTokens">Tokens that carry loss.</param>
/// <param name="Rows">Each row, in file order; empty where not asked for.</param>
public sealed record EvaluationResult(double Loss, double Perplexity, long Tokens, long TrainedTokens, IReadOnlyList<EvaluatedRow> Rows);
