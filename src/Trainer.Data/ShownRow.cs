using Trainer.Data.Chat;

namespace Trainer.Data;

/// <summary>A row as <c>data show</c> draws it: what the model reads and which part of it is trained.</summary>
public sealed record ShownRow
{
    /// <summary>The row's file and line.</summary>
    public required RowSource Source { get; init; }

    /// <summary>text, completion, chat, instruction or tokenized; empty where the row could not be read.</summary>
    public string Kind { get; init; } = "";

    /// <summary>The whole text, end-of-text token included where one is added; for rows of ids, the ids decoded.</summary>
    public string Text { get; init; } = "";

    /// <summary>Token ids.</summary>
    public IReadOnlyList<int> Ids { get; init; } = [];

    /// <summary>Unshifted labels, -100 where no loss is carried.</summary>
    public IReadOnlyList<int> Labels { get; init; } = [];

    /// <summary>Range of UTF-16 chars of <see cref="Text"/> of each token; empty ranges for tokens that stand for no text.</summary>
    public IReadOnlyList<CharSpan> Offsets { get; init; } = [];

    /// <summary>Trained ranges in UTF-16 chars of <see cref="Text"/>.</summary>
    public IReadOnlyList<CharSpan> TrainedSpans { get; init; } = [];

    /// <summary>The answers of a preference row; empty for other rows.</summary>
    public IReadOnlyList<ShownSide> Sides { get; init; } = [];

    /// <summary>Where the chat template came from, or null for rows that need none.</summary>
    public string? TemplateSource { get; init; }

    /// <summary>How the assistant's turns of a chat were found; null for rows that are none.</summary>
    public SpanMethod? MaskMethod { get; init; }

    /// <summary>Columns that are not used, and what the chat template leaves out.</summary>
    public IReadOnlyList<string> Ignored { get; init; } = [];

    /// <summary>What was changed so that the chat template could take the row.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The row's weight, not divided by the mean.</summary>
    public float Weight { get; init; } = 1;

    /// <summary>Why the row is refused, or null.</summary>
    public RowFault? Fault { get; init; }

    /// <summary>Targets that carry loss.</summary>
    public int TrainedTokens => Labels.Skip(1).Count(label => label >= 0);

    /// <summary><see cref="TrainedSpans"/> in Unicode code points, as Python counts characters.</summary>
    public IReadOnlyList<CharSpan> TrainedSpansInCodePoints
    {
        get
        {
            var before = new int[Text.Length + 1]; // code points before each UTF-16 char
            for (var i = 0; i < Text.Length; i++)
                before[i + 1] = before[i] + (char.IsLowSurrogate(Text[i]) && i > 0 && char.IsHighSurrogate(Text[i - 1]) ? 0 : 1);
            return [.. TrainedSpans.Select(span => new CharSpan(before[span.Start], before[span.End]))];
        }
    }
}
