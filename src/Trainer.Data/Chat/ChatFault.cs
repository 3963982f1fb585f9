namespace Trainer.Data.Chat;

/// <summary>Why the assistant's words of a conversation could not be found.</summary>
public enum ChatFault
{
    /// <summary>The template refuses the conversation or fails on it.</summary>
    NotRendered,
    /// <summary>It renders, and no verified way tells which part the assistant says.</summary>
    TurnNotFound,
}
