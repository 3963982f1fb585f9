using System.Text;

namespace Trainer.Tokenizers.Alignment;

/// <summary>
/// Changes of a text letter by letter, with the rule of the reference library for what a new letter is aligned to:
/// change 0 replaces the next letter, a positive change inserts (aligned as the letter before), -n replaces and drops n more.
/// </summary>
internal static class Transformation
{
    /// <summary>Applies letters with changes.</summary>
    /// <param name="text">What is changed.</param>
    /// <param name="letters">Code points of the new text.</param>
    /// <param name="changes">One change per letter.</param>
    /// <param name="dropFirst">Letters removed at the very beginning.</param>
    public static AlignedText Apply(AlignedText text, List<int> letters, List<int> changes, int dropFirst = 0)
    {
        var builder = new AlignedTextBuilder(text.Length + 16);
        var position = 0;
        var (start, end) = (text.Origin, text.Origin);
        void Consume()
        {
            if (position >= text.Length)
                return;
            var width = WidthAt(text.Span, position);
            (start, end) = (text.StartOf(position), text.EndOf(position + width - 1));
            position += width;
        }
        for (var i = 0; i < dropFirst; i++)
            Consume();
        for (var i = 0; i < letters.Count; i++)
        {
            if (changes[i] <= 0)
                Consume();
            builder.AppendCodePoint(letters[i], start, end);
            for (var dropped = changes[i]; dropped < 0; dropped++)
                Consume();
        }
        return builder.Build(text.Origin);
    }

    /// <summary>Puts a text in front; the new letters are aligned to the first letter there was.</summary>
    public static AlignedText Prepend(AlignedText text, string prefix)
    {
        if (text.Length == 0 || prefix.Length == 0)
            return text;
        var builder = new AlignedTextBuilder(text.Length + prefix.Length);
        var width = WidthAt(text.Span, 0);
        builder.Append(prefix, text.StartOf(0), text.EndOf(width - 1));
        builder.AppendSlice(text, 0, text.Length);
        return builder.Build(text.Origin);
    }

    /// <summary>The code point at a position of well-formed UTF-16.</summary>
    public static int CodePointAt(ReadOnlySpan<char> text, int index)
    {
        var c = text[index];
        return char.IsHighSurrogate(c) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]) ? char.ConvertToUtf32(c, text[index + 1]) : c;
    }

    /// <summary>Replaces lone surrogates, which no UTF-8 text can hold, by U+FFFD; gives the same string where there are none.</summary>
    public static string WellFormed(string text)
    {
        var first = FirstLoneSurrogate(text);
        if (first < 0)
            return text;
        var builder = new StringBuilder(text);
        for (var i = first; i < builder.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
                i++;
            else if (char.IsSurrogate(text[i]))
                builder[i] = '\uFFFD';
        }
        return builder.ToString();
    }

    private static int WidthAt(ReadOnlySpan<char> text, int index) =>
        char.IsHighSurrogate(text[index]) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]) ? 2 : 1;

    private static int FirstLoneSurrogate(string text)
    {
        var i = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF');
        if (i < 0)
            return -1;
        for (; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
                i++;
            else
                return i;
        }
        return -1;
    }
}
