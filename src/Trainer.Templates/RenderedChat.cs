namespace Trainer.Templates;

/// <summary>What a template made of a conversation.</summary>
/// <param name="Text">The whole text; it carries its own special tokens, so encode it without adding any.</param>
/// <param name="GenerationSpans">What each <c>{% generation %}</c> block rendered, in order of execution, recorded as transformers records it; empty where the
/// template has none.</param>
/// <param name="SpansVerified">True where the text inside every span is what its block rendered. A block inside a macro or a captured
/// block is recorded with the offset of the text before the macro (transformers does so too), and then this is false.</param>
public sealed record RenderedChat(string Text, IReadOnlyList<TextSpan> GenerationSpans, bool SpansVerified);
