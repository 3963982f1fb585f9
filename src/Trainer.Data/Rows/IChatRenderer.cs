using Trainer.Data.Chat;
using Trainer.Data.Conversations;

namespace Trainer.Data.Rows;

/// <summary>What rows need of a chat template. Safe to call from several threads.</summary>
internal interface IChatRenderer
{
    /// <summary>Where the template came from, for people.</summary>
    string Source { get; }

    /// <summary>Hex digest of the template.</summary>
    string ContentHash { get; }

    /// <summary>The whole conversation as text, and the character ranges to train.</summary>
    /// <param name="row">The conversation.</param>
    /// <param name="which">Assistant, Last or All.</param>
    /// <param name="from">Messages before this index are never trained.</param>
    /// <exception cref="BadRowException">The template refuses the conversation, or the turns cannot be told apart.</exception>
    ChatText Render(ChatRow row, TrainOn which, int from);

    /// <summary>The text of a conversation up to where the assistant is to speak.</summary>
    /// <exception cref="BadRowException">The template refuses the conversation.</exception>
    string Prompt(ChatRow row);
}

/// <summary>A rendered conversation.</summary>
/// <param name="Text">All of it.</param>
/// <param name="Spans">Trained ranges in UTF-16 characters, in order.</param>
/// <param name="Method">How they were found.</param>
internal sealed record ChatText(string Text, IReadOnlyList<(int Start, int End)> Spans, SpanMethod Method = SpanMethod.None)
{
    /// <summary>What the conversation says and the text lacks.</summary>
    public IReadOnlyList<Loss> Losses { get; init; } = [];

    /// <summary>The messages that are trained.</summary>
    public IReadOnlyList<int> TrainedTurns { get; init; } = [];

    /// <summary>What was changed for the template's sake.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
