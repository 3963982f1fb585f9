namespace Trainer.Tokenizers.Files;

/// <summary>The roles of special tokens.</summary>
/// <param name="Bos">Begin-of-sequence token, or null.</param>
/// <param name="Eos">End-of-sequence token, or null.</param>
/// <param name="Pad">Padding token, or null.</param>
/// <param name="Unk">Unknown token, or null.</param>
internal sealed record SpecialTokens(string? Bos, string? Eos, string? Pad, string? Unk);
