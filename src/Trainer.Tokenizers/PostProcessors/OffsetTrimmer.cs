using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.PostProcessors;

/// <summary>Takes the blanks at a token's ends out of its range, as ByteLevel and Roberta processors do on request.</summary>
/// <param name="textOf">Vocabulary text of an id; null for added tokens, which count as the input text they cover.</param>
/// <param name="addPrefixSpace">Whether a space was put in front of the text: then the first one is not counted.</param>
internal sealed class OffsetTrimmer(Func<int, string?> textOf, bool addPrefixSpace) : IPostProcessor
{
    private const char ByteSpace = 'Ġ';

    public List<EncodedToken> Apply(List<EncodedToken> tokens, string input, bool addSpecialTokens)
    {
        for (var i = 0; i < tokens.Count; i++)
            tokens[i] = Trim(tokens[i], i, input);
        return tokens;
    }

    private EncodedToken Trim(EncodedToken token, int index, string input)
    {
        var text = textOf(token.Id) ?? input[token.Start..token.End];
        var leading = text.TakeWhile(IsBlank).Count();
        var trailing = text.Reverse().TakeWhile(IsBlank).Count();
        var (start, end) = (token.Start, token.End);
        if (leading > 0)
        {
            if ((index == 0 || start == 0) && addPrefixSpace && leading == 1)
                leading = 0;
            start = Math.Min(start + leading, end);
        }
        if (trailing > 0 && end >= trailing)
            end = Math.Max(end - trailing, start);
        return token with { Start = start, End = end };
    }

    private static bool IsBlank(char letter) => letter == ByteSpace || CharacterSets.IsWhiteSpace(letter);
}
