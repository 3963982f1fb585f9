using System.Text.RegularExpressions;

namespace Trainer.Data.Chat;

/// <summary>Recognises a token that ends a turn in a text: one the model stops at, or a special token whose name says so.</summary>
internal sealed partial class EndOfTurn(Func<string, bool> isSpecialToken, IReadOnlyList<string> stopTokens)
{
    private const int LongestToken = 64;

    // What could be a special token written out: <|im_end|>, </s>, <end_of_turn>, [END], [/INST] and the like.
    [GeneratedRegex(@"\G(?:<[^<>\s]{1,48}>|\[[^\[\]\s]{1,48}\])")]
    private static partial Regex Written();

    // im_end, eot_id, eom_id, end_of_turn, END_OF_TURN_TOKEN, end▁of▁sentence, endoftext, return, call, </s>, Gemma 4's <turn|>; [/INST] is none
    // of them, and neither is what ends a header or a role.
    [GeneratedRegex(@"\A(?!.*(?:header|role))(?:.*(?:end|eo[mst]|\|return\||\|call\|)|</s>\z|<turn\|>\z)",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Ending();

    // What begins the next turn where no turn has an end of its own (GLM, Gemma 4's calls): the model stops with it.
    [GeneratedRegex(@"\A<\|?(?:user|observation|tool_response|tool|system)\|?>\z", RegexOptions.CultureInvariant)]
    private static partial Regex Header();

    /// <summary>Chars of the end-of-turn token that begins here, or 0.</summary>
    public int LengthAt(string text, int start)
    {
        foreach (var token in stopTokens)
            if (token.Length > 0 && string.CompareOrdinal(text, start, token, 0, token.Length) == 0) return token.Length;
        var match = Written().Match(text, start);
        return match.Success && Ending().IsMatch(match.Value) && isSpecialToken(match.Value) ? match.Length : 0;
    }

    /// <summary>The end of a turn with the end-of-turn token that follows directly, where the turn does not end with one (and white space) already.</summary>
    public int Extended(string text, int start, int end)
    {
        var last = end;
        while (last > start && char.IsWhiteSpace(text[last - 1])) last--;
        return LastEnd(text, Math.Max(start, last - LongestToken), last) == last
            ? end : end + (LengthAt(text, end) is > 0 and var length ? length : HeaderLengthAt(text, end));
    }

    /// <summary>Whether a span ends with an end-of-turn token, blanks aside.</summary>
    public bool Ends(string text, Trainer.Templates.TextSpan span)
        => LastEnd(text, span.Start, span.End) is { } end && text.AsSpan(end, span.End - end).IsWhiteSpace();

    /// <summary>One past the last end-of-turn token that lies wholly inside the range, or null.</summary>
    public int? LastEnd(string text, int start, int end)
    {
        for (var at = end - 1; at >= start; at--)
            if (LengthAt(text, at) is > 0 and var length && at + length <= end) return at + length;
        return null;
    }

    /// <summary>One past the first end-of-turn token in the range and those that follow it directly or behind blanks, or null.</summary>
    public int? FirstEnds(string text, int start, int end)
    {
        var at = start;
        while (at < end && LengthAt(text, at) == 0) at++;
        if (at >= end) return null;
        var last = at;
        for (var length = LengthAt(text, at); length > 0 && at + length <= end; length = at < end ? LengthAt(text, at) : 0)
        {
            last = at += length;
            while (at < end && char.IsWhiteSpace(text[at])) at++;
        }
        return last > start ? last : null;
    }

    /// <summary>One past the first token in the range that begins a next turn, or null.</summary>
    public int? NextHeader(string text, int start, int end)
    {
        for (var at = start; at < end; at++)
            if (HeaderLengthAt(text, at) is > 0 and var length && at + length <= end) return at + length;
        return null;
    }

    /// <summary>The token that stands for the next question where the model stops at the header of the next turn (GLM), or null.</summary>
    public string? NextQuestion => stopTokens.FirstOrDefault(token => token is "<|user|>");

    private int HeaderLengthAt(string text, int at)
    {
        if (at >= text.Length || text[at] != '<') return 0;
        var match = Written().Match(text, at);
        return match.Success && Header().IsMatch(match.Value) && isSpecialToken(match.Value) ? match.Length : 0;
    }
}
