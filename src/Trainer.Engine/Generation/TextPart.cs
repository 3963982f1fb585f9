namespace Trainer.Engine.Generation;

/// <summary>The next tokens of one of several texts that are computed together.</summary>
/// <param name="Text">Where the text is kept; a text has one part at a time.</param>
/// <param name="Tokens">At least one.</param>
/// <param name="TextLength">Tokens of the text that these belong to, those still to be computed included.</param>
internal readonly record struct TextPart(ITokenDecoder Text, int[] Tokens, int TextLength);
