namespace Trainer.Tokenizers.Patterns;

/// <summary>The pattern of Llama 3 (three digits a piece) and of Qwen 2 (one) by hand. Every letter belongs to some match.</summary>
internal sealed class Llama3Scanner(int digits) : IMatcher
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

    private int End(byte[] kinds, ReadOnlySpan<char> text, int position)
    {
        var c = text[position];
        if (c == '\'' && Contraction(text, position) is > 0 and var stop)
            return stop;
        var (kind, width) = LetterKinds.At(kinds, text, position);
        if (kind == LetterKinds.Letter)
            return Run(kinds, text, position + width, LetterKinds.Letter);
        if (kind == LetterKinds.Number)
            return Numbers(kinds, text, position + width);
        var next = position + width < text.Length ? LetterKinds.At(kinds, text, position + width) : (Kind: LetterKinds.LineBreak, Width: 0);
        if (kind != LetterKinds.LineBreak && next.Kind == LetterKinds.Letter)
            return Run(kinds, text, position + width + next.Width, LetterKinds.Letter);
        if (kind == LetterKinds.Other || (c == ' ' && next.Kind == LetterKinds.Other))
        {
            var end = Run(kinds, text, position + width, LetterKinds.Other);
            while (end < text.Length && (text[end] is '\r' or '\n'))
                end++;
            return end;
        }
        return Blanks(kinds, text, position);
    }

    private int Numbers(byte[] kinds, ReadOnlySpan<char> text, int position)
    {
        for (var count = 1; count < digits && position < text.Length; count++)
        {
            var (kind, width) = LetterKinds.At(kinds, text, position);
            if (kind != LetterKinds.Number)
                break;
            position += width;
        }
        return position;
    }

    private static int Blanks(byte[] kinds, ReadOnlySpan<char> text, int position)
    {
        var end = position;
        var lastBreak = -1;
        for (; end < text.Length && kinds[text[end]] >= LetterKinds.Space; end++)
        {
            if (kinds[text[end]] == LetterKinds.LineBreak)
                lastBreak = end;
        }
        if (lastBreak >= 0)
            return lastBreak + 1;
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

    // Case is ignored, and 's' has a third form: the long s.
    private static int Contraction(ReadOnlySpan<char> text, int position)
    {
        var rest = text[(position + 1)..];
        if (rest.Length == 0)
            return 0;
        var first = (char)(rest[0] | 0x20);
        if (rest[0] == 'ſ' || (rest[0] < 128 && (first is 's' or 't' or 'm' or 'd')))
            return position + 2;
        if (rest.Length < 2 || rest[0] >= 128 || rest[1] >= 128)
            return 0;
        return (first, (char)(rest[1] | 0x20)) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? position + 3 : 0;
    }
}
