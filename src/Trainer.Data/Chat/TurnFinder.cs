using System.Text.RegularExpressions;
using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>Finds one turn after the other in the text of a template that does not mark them.</summary>
internal sealed partial class TurnFinder(Renders renders, string whole, EndOfTurn endOfTurn)
{
    private const int LeadLength = 16;
    private readonly Landmarks _landmarks = new(renders, whole);

    /// <summary>The spans of a turn (one, but where the template writes it apart) and the way they were found, or null where no verified way finds
    /// them.</summary>
    public (IReadOnlyList<TextSpan> Spans, SpanMethod Method)? Find(int turn)
    {
        var prompt = renders.Before(turn, prompt: true) is { } before && whole.StartsWith(before, StringComparison.Ordinal) ? before.Length : (int?)null;
        if (prompt is { } start && Incremental(turn, start) is { } end) return ([new TextSpan(start, end)], SpanMethod.Incremental);
        if (Sentinel(turn, prompt) is { } spans) return (spans, SpanMethod.Sentinel);
        return prompt is null && Moved(turn) is { } moved ? ([moved], SpanMethod.Incremental) : null;
    }

    /// <summary>
    /// The turn where text before it moves as the conversation grows (Mistral writes the tools before the last question): what the turn adds
    /// to its own prompt, closed by an end-of-turn token, and standing once in the whole behind the end of that prompt.
    /// </summary>
    private TextSpan? Moved(int turn)
    {
        if (renders.Before(turn, prompt: true) is not { Length: > 0 } before || renders.Before(turn + 1, prompt: false) is not { } upTo) return null;
        if (upTo.Length <= before.Length || !upTo.StartsWith(before, StringComparison.Ordinal)
            || endOfTurn.LastEnd(upTo, before.Length, upTo.Length) is not { } end) return null;
        var lead = before[^Math.Min(before.Length, LeadLength)..];
        var said = lead + upTo[before.Length..end];
        var at = whole.IndexOf(said, StringComparison.Ordinal);
        if (at < 0 || whole.IndexOf(said, at + 1, StringComparison.Ordinal) >= 0) return null;
        return new TextSpan(at + lead.Length, at + said.Length);
    }

    /// <summary>Where the turn ends by the text of the conversation that ends with it.</summary>
    private int? Incremental(int turn, int start)
    {
        var upTo = turn + 1 == renders.Turns.Count ? whole : renders.Before(turn + 1, prompt: false);
        if (upTo is null || upTo.Length < start || string.CompareOrdinal(upTo, 0, whole, 0, start) != 0) return null;
        if (whole.StartsWith(upTo, StringComparison.Ordinal))
            return upTo.Length > start ? WithoutHeader(turn, endOfTurn.Extended(whole, start, upTo.Length)) : null;
        // Some templates close the last turn differently (an end-of-text token more, a line break less). Both texts agree up to and
        // including this turn's end-of-turn token then.
        var common = start;
        while (common < whole.Length && common < upTo.Length && whole[common] == upTo[common]) common++;
        return endOfTurn.LastEnd(whole, start, common) is { } end && _landmarks.Of(turn).All(mark => mark.First >= start && mark.Last <= end) ? end : null;
    }

    /// <summary>The end without what some templates write behind the last turn (the header of a next one, more instructions): nothing but blanks follows the
    /// end-of-turn tokens.</summary>
    private int WithoutHeader(int turn, int end)
    {
        // Behind a turn that is followed by a question stands that question: only then is nothing written for a next answer.
        if (turn + 1 < renders.Turns.Count && !renders.Turns[turn + 1].IsAssistant) return end;
        if (_landmarks.Of(turn) is not [.., var mark] || mark.Last >= end) return end;
        if (endOfTurn.FirstEnds(whole, mark.Last, end) is { } ends) return whole.AsSpan(ends, end - ends).IsWhiteSpace() ? end : ends;
        return endOfTurn.NextHeader(whole, mark.Last, end) ?? end;
    }

    /// <summary>The turn by words that stand for what it says.</summary>
    private List<TextSpan>? Sentinel(int turn, int? prompt)
    {
        if (_landmarks.Of(turn) is not { Count: > 0 } marks) return null;
        var spans = new List<TextSpan>(marks.Count);
        foreach (var mark in marks)
        {
            var start = spans.Count > 0 ? mark.Kinds is [PieceKind.Content] ? mark.First : null
                : prompt is { } asked && asked <= mark.First ? asked : Header(turn, mark);
            if (start is not { } from || End(turn, from, mark) is not { } end || spans.Count > 0 && from < spans[^1].End) return null;
            spans.Add(new TextSpan(from, end));
        }
        return spans;
    }

    /// <summary>The end-of-turn token behind the turn's last word, with the closing marks before it.</summary>
    private int? End(int turn, int start, Landmark mark)
    {
        if (mark.After is not { } after) return endOfTurn.Extended(whole, start, mark.Last);
        var limit = mark.Last + after.Length;
        if ((endOfTurn.FirstEnds(whole, mark.Last, limit) ?? endOfTurn.NextHeader(whole, mark.Last, limit)) is { } end) return end;
        // Words end with themselves; a call ends with the marks that close it here as in a conversation that ends with it.
        if (!mark.Kinds.Contains(PieceKind.Call)) return endOfTurn.Extended(whole, start, mark.Last);
        if (turn + 1 == renders.Turns.Count) return limit;
        return renders.EndMarked(turn, whole) is { } ended && ended.Range(turn, PieceKind.Call) is { } calls
            ? mark.Last + Common(after, ended.After(calls.Last)) : null;
    }

    /// <summary>Chars in which two texts of a template begin alike. Two marks that begin alike (&lt;think&gt; and &lt;tool_call&gt;) part in their midst:
    /// neither is common.</summary>
    private static int Common(string one, string other)
    {
        var common = 0;
        while (common < one.Length && common < other.Length && one[common] == other[common]) common++;
        if (common == one.Length || common == other.Length) return common;
        var open = one.AsSpan(0, common).LastIndexOfAny('<', '[');
        return open >= 0 && one.AsSpan(open, common - open).IndexOfAny('>', ']') < 0 ? open : common;
    }

    /// <summary>Where the model is asked to speak, in the template's text between the turn before and the turn's first word.</summary>
    private int? Header(int turn, Landmark mark)
    {
        var isPlain = mark.Kinds is [PieceKind.Content] && renders.Turns[turn] is { Calls.Count: 0, HasReasoning: false };
        if (mark.Before is not { } before) return isPlain ? mark.First : null;
        var from = mark.First - before.Length;
        // The text of a prompt for this turn, from the same word on.
        var all = renders.AllMarked(whole);
        if (renders.PromptMarked(turn, whole) is { } asked && asked.Before(asked.Text.Length) is { Word: >= 0 } lead
            && Lead(all, turn) is { } inAll && inAll.Word == lead.Word && inAll.Text == before && before.StartsWith(lead.Text, StringComparison.Ordinal))
            return from + lead.Text.Length;
        foreach (var header in Prompts(turn, wholeOnly: isPlain))
        {
            var at = before.LastIndexOf(header, StringComparison.Ordinal);
            if (at >= 0) return from + at + header.Length;
        }
        if (isPlain) return mark.First;
        // No header is known: what stands before the turn's words stands before them too when they are all it says.
        if (Lead(renders.AllMarkedPlain(turn, whole), turn) is not { } alone) return null;
        return from + Common(before, alone.Text);
    }

    /// <summary>The template's text before the first word of a turn.</summary>
    private static (string Text, int Word)? Lead(MarkedText? marked, int turn) => marked?.Range(turn, null) is { } range ? marked.Before(range.First) : null;

    /// <summary>What a generation prompt adds, then the same without the marks at its end that not every turn has (an opened thought).</summary>
    private IEnumerable<string> Prompts(int turn, bool wholeOnly)
    {
        var (without, with) = (renders.Before(turn, prompt: false), renders.Before(turn, prompt: true));
        if (without is null || with is null || !with.StartsWith(without, StringComparison.Ordinal))
            (without, with) = (whole, renders.Before(renders.Turns.Count, prompt: true));
        if (with is null || with.Length <= without.Length || !with.StartsWith(without, StringComparison.Ordinal)) yield break;
        var added = with[without.Length..];
        yield return added;
        if (wholeOnly) yield break;
        // A prompt that closes the thought at once asks for none: that which asks for one is another.
        if (renders.Turns[turn].HasReasoning && renders.ThinkingPrompt(turn) is { } thinking) yield return thinking;
        for (var cut = added.LastIndexOfAny(['<', '[']); cut > 0; cut = added.LastIndexOfAny(['<', '['], cut - 1))
            if (Speaker().IsMatch(added.AsSpan(0, cut))) yield return added[..cut];
    }

    [GeneratedRegex(@"assistant|model|bot|gpt|\bai\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Speaker();
}
