namespace Trainer.Data.Chat;

/// <summary>A conversation that cannot be masked; <see cref="Exception.Message"/> says why, in a clause to follow the row's place.</summary>
public sealed class ChatMaskException(ChatFault fault, string reason, string wayOut, Exception? inner = null) : Exception(reason, inner)
{
    /// <summary>What went wrong.</summary>
    public ChatFault Fault { get; } = fault;

    /// <summary>What the user can do.</summary>
    public string WayOut { get; } = wayOut;
}
