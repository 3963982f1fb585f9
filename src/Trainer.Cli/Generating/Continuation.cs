namespace Trainer.Cli.Generating;

/// <summary>What a model said.</summary>
/// <param name="Text">Without the prompt and without a stop string.</param>
/// <param name="Tokens">Tokens made.</param>
/// <param name="FinishReason">end (the model ended it), stop (a stop string) or length.</param>
internal sealed record Continuation(string Text, int Tokens, string FinishReason);
