using System.Collections.Concurrent;
using System.Text.Json;
using Trainer.Data.Conversations;
using Trainer.Data.Rows;
using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>
/// Conversations to text and trained spans. A conversation is handed to the template in the first form in which nothing of it is lost.
/// The assistant's words are found in a fixed order, each way verified on the conversation at hand:
/// <list type="number">
/// <item>the template's own <c>{% generation %}</c> blocks;</item>
/// <item>incremental: render(first k messages, generation prompt) is a prefix of render(first k+1 messages), and that one of the whole;</item>
/// <item>sentinel: what the turn says (words, reasoning, calls) replaced by unique words, and the text found around them again around the real ones.</item>
/// </list>
/// Where none holds the conversation is refused: nothing is ever trained on a guess. Safe for many threads.
/// </summary>
public sealed class AssistantMaskBuilder
{
    private readonly ChatTemplateSet _templates;
    private readonly EndOfTurn _endOfTurn;
    private readonly DateTime _now;
    private readonly ConcurrentDictionary<ChatTemplate, TemplateTraits> _traits = new();

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

    /// <summary>Renders a conversation, letter for letter where the template takes it so, and finds what is trained.</summary>
    /// <param name="messages">A JSON array of messages; a turn with <c>"weight": 0</c> or <c>"train": false</c> is never trained, unless all is.</param>
    /// <param name="tools">A JSON array of tools, or null.</param>
    /// <param name="which"><see cref="TrainOn.All"/>, <see cref="TrainOn.Last"/>, or every assistant turn otherwise.</param>
    /// <param name="from">Turns before this message are never trained.</param>
    /// <param name="variables">More template variables (<c>enable_thinking</c> and the like), or null.</param>
    /// <returns>Text and spans; no spans where the conversation has no such turn.</returns>
    /// <exception cref="ChatMaskException">The conversation cannot be read, the template refuses it, or a turn cannot be told from the rest.</exception>
    public AssistantSpans Build(JsonElement messages, JsonElement? tools, TrainOn which = TrainOn.Assistant, int from = 0,
        IReadOnlyDictionary<string, JsonElement>? variables = null)
    {
        try
        {
            return Build(ChatReader.Read([(messages, "messages")], asGiven: true) with { Tools = tools }, which, from, variables);
        }
        catch (BadRowException error)
        {
            throw new ChatMaskException(ChatFault.NotRendered, error.Message, error.WayOut, error);
        }
    }

    /// <summary>The text of a conversation up to where the assistant is to speak.</summary>
    internal string Prompt(ChatRow row, IReadOnlyDictionary<string, JsonElement>? variables)
    {
        var template = Template(row.Tools is not null);
        var traits = _traits.GetOrAdd(template, each => new TemplateTraits(each));
        var (turns, _, _) = traits.Fit(row.Turns);
        try
        {
            return Best(template, traits, turns, row.Tools, variables).Renders.Prompt();
        }
        catch (TemplateException error)
        {
            throw TemplateFault.Of(error, template, turns, row.Tools, variables, _now, traits);
        }
    }

    /// <summary>The same for a conversation that is read already; its own variables win over the given ones.</summary>
    internal AssistantSpans Build(ChatRow row, TrainOn which, int from, IReadOnlyDictionary<string, JsonElement>? variables)
    {
        var template = Template(row.Tools is not null);
        var traits = _traits.GetOrAdd(template, each => new TemplateTraits(each));
        var (turns, places, notes) = traits.Fit(row.Turns);
        if (row.Variables.Count > 0)
            variables = (variables ?? new Dictionary<string, JsonElement>()).Concat(row.Variables).GroupBy(pair => pair.Key).ToDictionary(group => group.Key,
                group => group.Last().Value);
        var best = Best(template, traits, turns, row.Tools, variables);
        var (renders, whole) = (best.Renders, best.Whole);
        if (whole.Text.Length == 0)
            throw new ChatMaskException(ChatFault.NotRendered, $"the chat template '{template.Name}' makes no text of the conversation",
                "pass another template with --chat-template FILE");
        var all = Enumerable.Range(0, turns.Count).Where(turn => turns[turn].IsAssistant).ToArray();
        var wanted = which switch { TrainOn.All => all, TrainOn.Last => all.TakeLast(1), _ => all };
        var trained = which == TrainOn.All ? all : wanted.Where(turn => places[turn] >= from && turns[turn].IsTrained).ToArray();
        AssistantSpans Found(IReadOnlyList<TextSpan> spans, SpanMethod method) =>
            new(whole.Text, spans, method, template)
            {
                Losses = [.. best.Losses.Select(loss => loss.Message < 0 ? loss : loss with { Message = places[loss.Message] })],
                TrainedTurns = [.. trained.Select(turn => places[turn])],
                Notes = [.. row.Notes, .. notes, .. best.Form.Notes(turns)],
            };
        if (which == TrainOn.All) return Found(whole.Text.Length > 0 ? [new TextSpan(0, whole.Text.Length)] : [], SpanMethod.None);
        if (trained.Length == 0) return Found([], SpanMethod.None);
        var marks = template.HasGenerationMarks && whole.SpansVerified
            ? whole.GenerationSpans.Where(span => span.Length > 0).OrderBy(span => span.Start).ToList() : null;
        if (marks is not null && Marked(whole, marks, all, trained, renders) is { } marked) return Found(marked, SpanMethod.Generation);
        var finder = new TurnFinder(renders, whole.Text, _endOfTurn);
        var (spans, method) = (new List<TextSpan>(trained.Length), SpanMethod.Incremental);
        foreach (var turn in trained)
        {
            if (finder.Find(turn) is not { } found)
            {
                // A turn that lost all it says is told as such, and has nothing to train.
                if (best.Losses.Any(loss => loss.Message == turn && loss.What is "reasoning" or "tool_calls")) continue;
                throw NotFound(template, places[turn]);
            }
            if (spans.Count > 0 && found.Spans[0].Start < spans[^1].End) throw NotFound(template, places[turn]);
            if (found.Method > method) method = found.Method;
            spans.AddRange(found.Spans.Where(span => span.Length > 0));
        }
        // Where marks and turns are not one to one, a turn's marks are those that meet what the turn says.
        if (marks is not null)
            return Found([.. marks.Where(mark => spans.Exists(span => span.Start < mark.End && mark.Start < span.End))], SpanMethod.Generation);
        // A last answer that the template leaves open is closed with what the model stops at.
        if (_endOfTurn.NextQuestion is { } next && spans.Count > 0 && spans[^1].End == whole.Text.TrimEnd().Length && trained[^1] == turns.Count - 1
            && !_endOfTurn.Ends(whole.Text, spans[^1]))
            return Found([.. spans.SkipLast(1), new TextSpan(spans[^1].Start, whole.Text.TrimEnd().Length + next.Length)],
                method) with { Text = whole.Text.TrimEnd() + next };
        return Found(spans, method);
    }

    /// <summary>The conversation in the first form in which nothing is lost, else in that in which least is.</summary>
    private Attempt Best(ChatTemplate template, TemplateTraits traits, IReadOnlyList<Turn> turns, JsonElement? tools,
        IReadOnlyDictionary<string, JsonElement>? variables)
    {
        Attempt? best = null;
        TemplateException? first = null;
        foreach (var form in ChatForm.Of(turns, traits))
        {
            if (best is not null && !form.MayMend(best.Losses, best.Form, best.PrintsPython)) continue;
            var renders = new Renders(template, turns, new TurnWriter(turns, form, traits), tools, variables, _now);
            try
            {
                var whole = renders.Whole();
                if (form.Parts && whole.Text.Contains("{'type': 'text'", StringComparison.Ordinal)) continue; // the list itself, written out
                var attempt = new Attempt(form, renders, whole, LeftOut.Find(renders, whole.Text, tools, template), LeftOut.PrintsPython(renders, whole.Text));
                if (best is null || attempt.Faults < best.Faults) best = attempt;
                if (best.Losses.All(loss => !loss.IsPiece) && !best.PrintsPython) break; // no form of the messages brings back tools or strange fields
            }
            catch (TemplateException error)
            {
                first ??= error;
            }
        }
        return best ?? throw TemplateFault.Of(first!, template, turns, tools, variables, _now, traits);
    }

    private sealed record Attempt(ChatForm Form, Renders Renders, RenderedChat Whole, List<Loss> Losses, bool PrintsPython)
    {
        public int Faults => 2 * Losses.Count + (PrintsPython ? 1 : 0);
    }

    private ChatTemplate Template(bool hasTools)
    {
        try
        {
            return _templates.For(hasTools);
        }
        catch (TemplateException error)
        {
            // The complaint's own advice comes behind.
            throw new ChatMaskException(ChatFault.NotRendered, error.Message.Split("; ")[0], "choose one with --chat-template FILE", error);
        }
    }

    /// <summary>The template's own spans, those of the wanted turns alone; null where that cannot be told from the spans.</summary>
    private static List<TextSpan>? Marked(RenderedChat whole, List<TextSpan> marks, int[] all, int[] turns, Renders renders)
    {
        if (turns.Length == all.Length) return marks;
        if (whole.GenerationSpans.Count == all.Length)
            return [.. whole.GenerationSpans.Where((span, index) => span.Length > 0 && Array.IndexOf(turns, all[index]) >= 0)];
        // Spans and turns are not one to one (a turn may have none or several): what comes before the first wanted turn must show where it begins.
        if (all.AsSpan().EndsWith(turns) && renders.Before(turns[0], prompt: false) is { } before && whole.Text.StartsWith(before, StringComparison.Ordinal))
            return [.. marks.Where(span => span.Start >= before.Length)];
        return null;
    }

    private static ChatMaskException NotFound(ChatTemplate template, int turn) => new(ChatFault.TurnNotFound,
        $"the assistant's turn (message {turn + 1}) cannot be told from the rest of the text that the chat template '{template.Name}' renders",
        "pass a template that marks it with {% generation %} by --chat-template FILE, or train on the whole text with --train-on all");
}
