using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>Finds one turn after the other in the text of a template that does not mark them.</summary>
internal sealed class TurnFinder(Renders renders, string whole, Conversation conversation, EndOfTurn endOfTurn)
{
    private const int LeadLength = 16;

    /// <summary>The span of a turn and the way it was found, or null where no verified way finds it.</summary>
    public (TextSpan Span, SpanMethod Method)? Find(int turn)
    {
        var prompt = renders.Before(turn, prompt: true) is { } before && whole.StartsWith(before, StringComparison.Ordinal) ? before.Length : (int?)null;
        if (prompt is { } start && Incremental(turn, start) is { } end) return (new TextSpan(start, end), SpanMethod.Incremental);
        if (Sentinel(turn, prompt) is { } span) return (span, SpanMethod.Sentinel);
        return prompt is null && Moved(turn) is { } moved ? (moved, SpanMethod.Incremental) : null;
    }

    /// <summary>
    /// The turn where text before it moves as the conversation grows (Mistral writes the tools before the last question): what the turn adds
    /// to its own prompt, closed by an end-of-turn token, and standing once in the whole behind the end of that prompt.
    /// </summary>
    private TextSpan? Moved(int turn)
    {
        if (renders.Before(turn, prompt: true) is not { Length: > 0 } before || renders.Before(turn + 1, prompt: false) is not { } upTo) return null;
        if (upTo.Length <= before.Length || !upTo.StartsWith(before, StringComparison.Ordinal) || endOfTurn.LastEnd(upTo, before.Length, upTo.Length) is not { } end) return null;
        var lead = before[^Math.Min(before.Length, LeadLength)..];
        var said = lead + upTo[before.Length..end];
        var at = whole.IndexOf(said, StringComparison.Ordinal);
        if (at < 0 || whole.IndexOf(said, at + 1, StringComparison.Ordinal) >= 0) return null;
        return new TextSpan(at + lead.Length, at + said.Length);
    }

    /// <summary>Where the turn ends by the text of the conversation that ends with it.</summary>
    private int? Incremental(int turn, int start)
    {
        var upTo = turn + 1 == conversation.Count ? whole : renders.Before(turn + 1, prompt: false);
        if (upTo is null || upTo.Length < start || string.CompareOrdinal(upTo, 0, whole, 0, start) != 0) return null;
        if (whole.StartsWith(upTo, StringComparison.Ordinal)) return upTo.Length > start ? endOfTurn.Extended(whole, start, upTo.Length) : null;
        // Some templates close the last turn differently (an end-of-text token more, a line break less). Both texts agree up to and
        // including this turn's end-of-turn token then.
        var common = start;
        while (common < whole.Length && common < upTo.Length && whole[common] == upTo[common]) common++;
        return endOfTurn.LastEnd(whole, start, common);
    }

    /// <summary>The turn by a word that stands for its content.</summary>
    private TextSpan? Sentinel(int turn, int? prompt)
    {
        // What is said outside of the content (tool calls, reasoning) would stay outside of the span.
        if (!conversation.IsPlain(turn)) return null;
        if (prompt is null && conversation.HasOtherText(turn) && renders.Bare(turn) != whole) return null;
        var word = "zqSentinelqz";
        while (whole.Contains(word, StringComparison.Ordinal)) word += "z";
        if (renders.WithContent(turn, word) is not { } marked) return null;
        var at = marked.IndexOf(word, StringComparison.Ordinal);
        if (at < 0 || marked.IndexOf(word, at + 1, StringComparison.Ordinal) >= 0) return null;
        var head = marked.AsSpan(0, at);
        var tail = marked.AsSpan(at + word.Length);
        if (head.Length + tail.Length > whole.Length || !whole.AsSpan().StartsWith(head) || !whole.AsSpan().EndsWith(tail)) return null;
        var end = whole.Length - tail.Length;
        var content = whole[head.Length..end];
        // The template may have edited the content (trimmed it, dropped reasoning). What it made of it must be what stands there.
        if (content != conversation.Content(turn) && renders.WithContent(turn, content) != whole) return null;
        var start = prompt is { } asked && asked <= head.Length ? asked : head.Length;
        return new TextSpan(start, endOfTurn.Extended(whole, start, end));
    }
}
