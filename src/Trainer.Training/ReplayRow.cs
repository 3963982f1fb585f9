namespace Trainer.Training;

/// <summary>One row of a replayed step.</summary>
/// <param name="Source"><c>file:line</c>.</param>
/// <param name="Tokens">Its tokens.</param>
/// <param name="Loss">Sum of its token losses without dropout (nats).</param>
public sealed record ReplayRow(string Source, int Tokens, double Loss);
