namespace Trainer.Data.Chat;

/// <summary>Something of a conversation that the rendered text lacks.</summary>
/// <param name="What">Its name, as <c>--allow-dropped</c> takes it: content, reasoning, tool_calls; or tools, or a field of messages.</param>
/// <param name="Message">The message's index, or -1 for what belongs to none.</param>
/// <param name="Role">Who says it; empty for what belongs to none.</param>
public sealed record Loss(string What, int Message, string Role)
{
    /// <summary>Whether it is a piece of what is said: content, reasoning or calls.</summary>
    public bool IsPiece => What is "content" or "reasoning" or "tool_calls";

    /// <summary>Whether the assistant says it.</summary>
    public bool IsAssistant => Role == "assistant";

    /// <summary>The loss in words that need no row, for counts.</summary>
    public string Name => $"{(What == "content" && !IsAssistant ? $"content of {Role} turns" : What)} (not in the chat template)";
}
