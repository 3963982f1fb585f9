using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Data.Conversations;

/// <summary>How a message without words of its own (one that calls tools) is written: all three say the same, and templates tell them apart.</summary>
internal enum Wordless
{
    /// <summary><c>"content": ""</c></summary>
    Empty,
    /// <summary><c>"content": null</c></summary>
    Null,
    /// <summary>No key <c>content</c> at all.</summary>
    Absent,
}

/// <summary>One message of a conversation, whatever dialect its row spoke.</summary>
/// <param name="Role">system, developer, user, assistant, tool, or a role that the row's template must know.</param>
/// <param name="Content">What is said, without the reasoning before it.</param>
internal sealed record Turn(string Role, string Content)
{
    public const string Assistant = "assistant", System = "system", User = "user", Tool = "tool", Developer = "developer";

    /// <summary>How the row writes a content without words.</summary>
    public Wordless WrittenAs { get; init; }

    /// <summary>What the assistant thinks before it speaks, or null.</summary>
    public string? Reasoning { get; init; }

    /// <summary>The field in which the row gives the reasoning; null where it stands in the content.</summary>
    public string? ReasoningField { get; init; }

    /// <summary>The content with its reasoning, letter for letter, where the row writes both together.</summary>
    public string? Verbatim { get; init; }

    /// <summary>Tool calls, each <c>{"type": "function", "function": {"name": ..., "arguments": {...}}}</c>.</summary>
    public IReadOnlyList<JsonObject> Calls { get; init; } = [];

    /// <summary>Other fields, which templates may read (<c>name</c>, <c>tool_call_id</c>).</summary>
    public JsonObject Other { get; init; } = [];

    /// <summary>The message letter for letter, where it is to be rendered so; null for the normalized one.</summary>
    public JsonElement? AsGiven { get; init; }

    /// <summary>Whether the row leaves the turn in the loss.</summary>
    public bool IsTrained { get; init; } = true;

    public bool IsAssistant => Role == Assistant;

    public bool HasReasoning => !string.IsNullOrWhiteSpace(Reasoning);

    /// <summary>The turn without its reasoning.</summary>
    public Turn WithoutReasoning() => Reasoning is null ? this : this with { Reasoning = null, ReasoningField = null, Verbatim = null };
}
