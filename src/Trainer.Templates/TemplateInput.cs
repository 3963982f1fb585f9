using System.Text.Json;

namespace Trainer.Templates;

/// <summary>The variables of one render.</summary>
public sealed record TemplateInput
{
    /// <summary>A JSON array of messages, each an object with at least <c>role</c>.</summary>
    public required JsonElement Messages { get; init; }

    /// <summary>A JSON array of tool schemas, or null; templates see <c>none</c> then, as in transformers.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>A JSON array of documents, or null; templates see <c>none</c> then.</summary>
    public JsonElement? Documents { get; init; }

    /// <summary>Whether the text ends where the assistant is to speak.</summary>
    public bool AddGenerationPrompt { get; init; }

    /// <summary>More variables (<c>bos_token</c>, <c>enable_thinking</c>, ...); they win over the template's own special tokens. A name not set is undefined,
    /// never none.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Variables { get; init; }

    /// <summary>What <c>strftime_now</c> formats; null takes the time in UTC at each call.</summary>
    public DateTime? Now { get; init; }
}
