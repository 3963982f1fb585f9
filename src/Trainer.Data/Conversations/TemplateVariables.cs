namespace Trainer.Data.Conversations;

/// <summary>Variables of chat templates that people set: <c>enable_thinking</c> and the like.</summary>
public static class TemplateVariables
{
    /// <summary>Names that carry the row itself, and so cannot be set.</summary>
    public static IReadOnlyList<string> Reserved { get; } = ["messages", "tools", "documents", "add_generation_prompt"];
}
