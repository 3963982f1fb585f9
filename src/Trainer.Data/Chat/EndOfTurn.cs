using System.Text.RegularExpressions;

namespace Trainer.Data.Chat;

/// <summary>Recognises a token that ends a turn in a text: one the model stops at, or a special token whose name says so.</summary>
internal sealed partial class EndOfTurn(Func<string, bool> isSpecialToken, IReadOnlyList<string> stopTokens)
{
    private const int LongestToken = 64;

    // What could be a special token written out: <|im_end|>, </s>, <end_of_turn>, [END], [/INST] and the like.
    [GeneratedRegex(@"\G(?:<[^<>\s]{1,48}>|\[[^\[\]\s]{1,48}\])")]
    private static partial Regex Written();

    // im_end, eot_id, eom_id, end_of_turn, END_OF_TURN_TOKEN, end▁of▁sentence, endoftext, return, call, </s>, [/INST] is none of them.
    [GeneratedRegex(@"end|eo[mst]|\|return\||\|call\||\A</s>\z", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Ending();

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
        return LastEnd(text, Math.Max(start, last - LongestToken), last) == last ? end : end + LengthAt(text, end);
    }

    /// <summary>One past the last end-of-turn token that lies wholly inside the range, or null.</summary>
    public int? LastEnd(string text, int start, int end)
    {
        for (var at = end - 1; at >= start; at--)
            if (LengthAt(text, at) is > 0 and var length && at + length <= end) return at + length;
        return null;
    }
}
