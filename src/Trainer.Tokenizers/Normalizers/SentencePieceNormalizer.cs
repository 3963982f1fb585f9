using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.PreTokenizers;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>What SentencePiece does to a text: its character map is applied, spaces become marks, one is put in front, and surplus ones may go.</summary>
/// <param name="prefix">Before which parts of a text a mark is put.</param>
/// <param name="removeExtraSpaces">Spaces at the ends go and runs of them become one.</param>
/// <param name="map">Texts and what replaces them, or null.</param>
internal sealed class SentencePieceNormalizer(PrependScheme prefix, bool removeExtraSpaces, CharacterMap? map = null) : INormalizer
{
    private const char Mark = '▁';

    public AlignedText Apply(AlignedText text)
    {
        if (map is not null) text = Mapped(text, map);
        var (begin, end) = (0, text.Length);
        // A part that begins with a space keeps it where the mark in front is for the whole text alone: it says that a word begins.
        while (removeExtraSpaces && prefix != PrependScheme.First && begin < end && text.Chars[begin] == ' ')
            begin++;
        // A mark that stands in the text itself counts as a space at the end, as in SentencePiece.
        while (removeExtraSpaces && end > begin && (text.Chars[end - 1] is ' ' or Mark))
            end--;
        var builder = new AlignedTextBuilder(end - begin + 1);
        if (begin < end && (prefix == PrependScheme.Always || prefix == PrependScheme.First && text.Origin == 0))
            builder.Append(Mark, text.StartOf(begin), text.EndOf(begin + (char.IsHighSurrogate(text.Chars[begin]) ? 1 : 0)));
        for (var i = begin; i < end; i++)
        {
            if (text.Chars[i] != ' ')
                builder.AppendSlice(text, i, i + 1);
            else if (!removeExtraSpaces || i == begin || text.Chars[i - 1] != ' ')
                builder.Append(Mark, text.StartOf(i), text.EndOf(i));
        }
        return builder.Build(text.Origin);
    }

    /// <summary>Replaces, from left to right, the longest beginning that the map holds; what replaces it stands for all of it.</summary>
    private static AlignedText Mapped(AlignedText text, CharacterMap map)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(text.Chars, 0, text.Length);
        var builder = new AlignedTextBuilder(text.Length + 16);
        for (int at = 0, i = 0; i < text.Length;)
        {
            var width = char.IsHighSurrogate(text.Chars[i]) ? 2 : 1;
            if (!map.TryReplace(bytes.AsSpan(at), longest: true, out var length, out var replacement))
            {
                builder.AppendSlice(text, i, i + width);
                at += ByteCount(text.Slice(i, i + width));
                i += width;
                continue;
            }
            var from = i;
            for (var stop = at + length; at < stop; i += width)
            {
                width = char.IsHighSurrogate(text.Chars[i]) ? 2 : 1;
                at += ByteCount(text.Slice(i, i + width));
            }
            builder.Append(System.Text.Encoding.UTF8.GetString(replacement), text.StartOf(from), text.EndOf(i - 1));
        }
        return builder.Build(text.Origin);
    }

    private static int ByteCount(ReadOnlySpan<char> letter) => System.Text.Encoding.UTF8.GetByteCount(letter);
}
