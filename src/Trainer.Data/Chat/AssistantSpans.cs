using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>A rendered conversation with what is trained of it.</summary>
/// <param name="Text">The whole text, special tokens written out; encode it without adding any.</param>
/// <param name="Spans">Trained ranges in UTF-16 chars: ascending, apart, none empty; each assistant turn from where the model is asked to speak up to its
/// end-of-turn token.</param>
/// <param name="Method">How they were found; where turns needed different ways, the last resort that was used.</param>
/// <param name="Template">The template that rendered it.</param>
public sealed record AssistantSpans(string Text, IReadOnlyList<TextSpan> Spans, SpanMethod Method, ChatTemplate Template)
{
    /// <summary>What the conversation says and the text lacks.</summary>
    public IReadOnlyList<Loss> Losses { get; init; } = [];

    /// <summary>The messages that are trained.</summary>
    public IReadOnlyList<int> TrainedTurns { get; init; } = [];

    /// <summary>What was changed so that the template could take the conversation.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
