namespace Trainer.Tokenizers.PostProcessors;

/// <summary>A token of a text on its way through the post-processors.</summary>
/// <param name="Id">Id in the vocabulary.</param>
/// <param name="Start">First UTF-16 unit of the input it covers.</param>
/// <param name="End">One past the last unit.</param>
/// <param name="Text">What was matched, where it is an added token found in the text and not one the model made.</param>
internal readonly record struct EncodedToken(int Id, int Start, int End, string? Text = null);
