using System.Text.Json;
using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>The renders of one conversation and of its parts, with the same tools, variables and date.</summary>
internal sealed class Renders(ChatTemplate template, Conversation conversation, JsonElement? tools, IReadOnlyDictionary<string, JsonElement>? variables, DateTime now)
{
    public RenderedChat Whole() => Render(conversation.Whole, prompt: false);

    /// <summary>The text of the messages before one, or null where the template refuses such a part.</summary>
    public string? Before(int turn, bool prompt) => Try(() => conversation.Take(turn), prompt);

    /// <summary>The whole text with another content in one message, or null where the template refuses it.</summary>
    public string? WithContent(int turn, string content) => Try(() => conversation.WithContent(turn, content), prompt: false);

    /// <summary>The whole text with nothing but role and content in one message, or null where the template refuses it.</summary>
    public string? Bare(int turn) => Try(() => conversation.Bare(turn), prompt: false);

    private string? Try(Func<JsonElement> messages, bool prompt)
    {
        try
        {
            return Render(messages(), prompt).Text;
        }
        catch (TemplateException)
        {
            return null;
        }
    }

    private RenderedChat Render(JsonElement messages, bool prompt) => template.Render(new TemplateInput
    {
        Messages = messages,
        Tools = tools,
        AddGenerationPrompt = prompt,
        Variables = variables,
        Now = now,
    });
}
