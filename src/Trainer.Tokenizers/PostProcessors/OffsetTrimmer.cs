using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.PostProcessors;

/// <summary>Takes the blanks at a token's ends out of its range, as ByteLevel and Roberta processors do on request.</summary>
/// <param name="textOf">Vocabulary text of an id.</param>
/// <param name="addPrefixSpace">Whether a space was put in front of the text: then the first one is not counted.</param>
internal sealed class OffsetTrimmer(Func<int, string> textOf, bool addPrefixSpace) : IPostProcessor
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
        var text = token.Text ?? textOf(token.Id);
        var leading = 0;
        while (leading < text.Length && IsBlank(text[leading]))
            leading++;
        var trailing = 0;
        while (trailing < text.Length && IsBlank(text[^(trailing + 1)]))
            trailing++;
        var (start, end) = (token.Start, token.End);
        if ((index == 0 || start == 0) && addPrefixSpace && leading == 1)
            leading = 0;
        // The reference counts letters, so a letter of two units is one step.
        for (; leading > 0 && start < end; leading--)
            start += char.IsSurrogatePair(input, start) ? 2 : 1;
        var back = end;
        for (; trailing > 0 && back > 0; trailing--)
            back -= back > 1 && char.IsSurrogatePair(input, back - 2) ? 2 : 1;
        return token with { Start = start, End = trailing > 0 ? end : Math.Max(back, start) };
    }

    private static bool IsBlank(char letter) => letter == ByteSpace || CharacterSets.IsWhiteSpace(letter);
}
