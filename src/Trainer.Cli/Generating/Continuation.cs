using System.Globalization;

namespace Trainer.Cli.Generating;

/// <summary>What a model said.</summary>
/// <param name="Text">Without the prompt and without a stop string.</param>
/// <param name="Tokens">Tokens made.</param>
/// <param name="FinishReason">end (the model ended it), stop (a stop string) or length.</param>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="PromptSeconds">Time to the first token.</param>
/// <param name="Seconds">Time in all.</param>
internal sealed record Continuation(string Text, int Tokens, string FinishReason, int PromptTokens, double PromptSeconds, double Seconds)
{
    /// <summary>Rate of the tokens after the first, which alone waits for the prompt.</summary>
    public double TokensPerSecond => Tokens > 1 ? (Tokens - 1) / (Seconds - PromptSeconds) : Tokens / Seconds;

    /// <summary>One line for --verbose.</summary>
    public string Summary => string.Create(CultureInfo.InvariantCulture,
        $"{Tokens} tokens at {TokensPerSecond:0.0} tokens/s, {PromptSeconds:0.00} s to the first after a prompt of {PromptTokens}, ended by {FinishReason}");
}
