using System.Text.Json;
using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>
/// Conversations to text and trained spans. The assistant's words are found in a fixed order, each way verified on the conversation at hand:
/// <list type="number">
/// <item>the template's own <c>{% generation %}</c> blocks;</item>
/// <item>incremental: render(first k messages, generation prompt) is a prefix of render(first k+1 messages), and that one of the whole;</item>
/// <item>sentinel: the turn's content replaced by a unique word, and the text found around it again around the real content.</item>
/// </list>
/// Where none holds the conversation is refused: nothing is ever trained on a guess. Safe for many threads.
/// </summary>
public sealed class AssistantMaskBuilder
{
    private readonly ChatTemplateSet _templates;
    private readonly EndOfTurn _endOfTurn;
    private readonly DateTime _now;

    /// <summary>Makes a builder.</summary>
    /// <param name="templates">The model's templates.</param>
    /// <param name="isSpecialToken">Whether a text such as <c>&lt;|im_end|&gt;</c> is a special token of the tokenizer.</param>
    /// <param name="stopTokens">The tokens a model stops at: the end-of-text token and those of its generation_config.json.</param>
    /// <param name="now">What <c>strftime_now</c> tells every row of a run.</param>
    public AssistantMaskBuilder(ChatTemplateSet templates, Func<string, bool> isSpecialToken, IReadOnlyList<string> stopTokens, DateTime now)
    {
        _templates = templates;
        _endOfTurn = new EndOfTurn(isSpecialToken, stopTokens);
        _now = now;
    }

    /// <summary>Renders a conversation and finds what is trained.</summary>
    /// <param name="messages">A JSON array of messages; a turn with <c>"weight": 0</c> or <c>"train": false</c> is never trained, unless all is.</param>
    /// <param name="tools">A JSON array of tools, or null.</param>
    /// <param name="which"><see cref="TrainOn.All"/>, <see cref="TrainOn.Last"/>, or every assistant turn otherwise.</param>
    /// <param name="from">Turns before this message are never trained.</param>
    /// <param name="variables">More template variables (<c>enable_thinking</c> and the like), or null.</param>
    /// <returns>Text and spans; no spans where the conversation has no such turn.</returns>
    /// <exception cref="ChatMaskException">The template refuses the conversation, or a turn cannot be told from the rest.</exception>
    public AssistantSpans Build(JsonElement messages, JsonElement? tools, TrainOn which = TrainOn.Assistant, int from = 0, IReadOnlyDictionary<string, JsonElement>? variables = null)
    {
        var template = Template(tools is not null);
        var conversation = new Conversation(messages);
        var renders = new Renders(template, conversation, tools, variables, _now);
        RenderedChat whole;
        try
        {
            whole = renders.Whole();
        }
        catch (TemplateException error)
        {
            throw Refused(error);
        }
        if (which == TrainOn.All) return new AssistantSpans(whole.Text, whole.Text.Length > 0 ? [new TextSpan(0, whole.Text.Length)] : [], SpanMethod.None, template);
        var all = conversation.AssistantTurns.ToArray();
        var turns = (which == TrainOn.Last ? all.TakeLast(1) : all).Where(turn => turn >= from && conversation.IsTrained(turn)).ToArray();
        if (turns.Length == 0) return new AssistantSpans(whole.Text, [], SpanMethod.None, template);
        if (template.HasGenerationMarks && whole.SpansVerified) return new AssistantSpans(whole.Text, Marked(whole, all, turns, renders, template), SpanMethod.Generation, template);
        var finder = new TurnFinder(renders, whole.Text, conversation, _endOfTurn);
        var (spans, method) = (new List<TextSpan>(turns.Length), SpanMethod.Incremental);
        foreach (var turn in turns)
        {
            var (span, found) = finder.Find(turn) ?? throw NotFound(template, turn);
            if (spans.Count > 0 && span.Start < spans[^1].End) throw NotFound(template, turn);
            if (found > method) method = found;
            if (span.Length > 0) spans.Add(span);
        }
        return new AssistantSpans(whole.Text, spans, method, template);
    }

    private ChatTemplate Template(bool hasTools)
    {
        try
        {
            return _templates.For(hasTools);
        }
        catch (TemplateException error)
        {
            throw Refused(error);
        }
    }

    /// <summary>The template's own spans, those of the wanted turns alone.</summary>
    private static List<TextSpan> Marked(RenderedChat whole, int[] all, int[] turns, Renders renders, ChatTemplate template)
    {
        var marked = whole.GenerationSpans.Where(span => span.Length > 0).OrderBy(span => span.Start).ToList();
        if (turns.Length == all.Length) return marked;
        if (whole.GenerationSpans.Count == all.Length) return [.. whole.GenerationSpans.Where((span, index) => span.Length > 0 && Array.IndexOf(turns, all[index]) >= 0)];
        // Spans and turns are not one to one (a turn may have none or several): what comes before the first wanted turn must show where it begins.
        if (all.AsSpan().EndsWith(turns) && renders.Before(turns[0], prompt: false) is { } before && whole.Text.StartsWith(before, StringComparison.Ordinal))
            return [.. marked.Where(span => span.Start >= before.Length)];
        throw NotFound(template, turns[0]);
    }

    private static ChatMaskException Refused(TemplateException error) => error.Kind == "TemplateError"
        ? new ChatMaskException(ChatFault.NotRendered, $"the chat template refuses the conversation: '{error.Reason}'", "change the row, or pass another template with --chat-template FILE", error)
        : new ChatMaskException(ChatFault.NotRendered, $"the chat template fails on the conversation: {error.Kind}: {error.Reason}", "check the row's fields, or pass another template with --chat-template FILE", error);

    private static ChatMaskException NotFound(ChatTemplate template, int turn) => new(ChatFault.TurnNotFound,
        $"the assistant's turn (message {turn + 1}) cannot be told from the rest of the text that the chat template '{template.Name}' renders",
        "pass a template that marks it with {% generation %} by --chat-template FILE, or train on the whole text with --train-on all");
}
