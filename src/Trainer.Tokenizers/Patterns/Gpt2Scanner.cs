namespace Trainer.Tokenizers.Patterns;

/// <summary>The GPT-2 pattern by hand. Every letter belongs to some match, so matches follow one another.</summary>
internal sealed class Gpt2Scanner : IMatcher
{
    public void Find(ReadOnlySpan<char> text, MatchList matches)
    {
        var kinds = LetterKinds.Basic;
        for (var position = 0; position < text.Length;)
        {
            var end = End(kinds, text, position);
            matches.Add(position, end);
            position = end;
        }
    }

    private static int End(byte[] kinds, ReadOnlySpan<char> text, int position)
    {
        if (text[position] == '\'' && Contraction(text, position) is > 0 and var stop)
            return stop;
        var (kind, width) = LetterKinds.At(kinds, text, position);
        if (text[position] == ' ' && position + 1 < text.Length)
        {
            var (next, nextWidth) = LetterKinds.At(kinds, text, position + 1);
            if (next <= LetterKinds.Number)
                return Run(kinds, text, position + 1 + nextWidth, next);
        }
        if (kind <= LetterKinds.Number)
            return Run(kinds, text, position + width, kind);
        var end = position + 1;
        while (end < text.Length && kinds[text[end]] >= LetterKinds.Space)
            end++;
        // \s+(?!\S): the last blank is left to the word behind it.
        return end < text.Length && end - position > 1 ? end - 1 : end;
    }

    private static int Run(byte[] kinds, ReadOnlySpan<char> text, int position, byte kind)
    {
        while (position < text.Length)
        {
            var (next, width) = LetterKinds.At(kinds, text, position);
            if (next != kind)
                break;
            position += width;
        }
        return position;
    }

    private static int Contraction(ReadOnlySpan<char> text, int position)
    {
        var rest = text[(position + 1)..];
        if (rest.Length == 0)
            return 0;
        if (rest[0] is 's' or 't' or 'm' or 'd')
            return position + 2;
        return rest.Length > 1 && (rest[0], rest[1]) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? position + 3 : 0;
    }
}
