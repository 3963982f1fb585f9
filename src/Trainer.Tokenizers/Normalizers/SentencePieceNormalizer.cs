using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>What SentencePiece does to a text without a character map: spaces become marks, one is put in front, and surplus ones may go.</summary>
internal sealed class SentencePieceNormalizer(bool addDummyPrefix, bool removeExtraSpaces) : INormalizer
{
    private const char Mark = '▁';

    public AlignedText Apply(AlignedText text)
    {
        var (begin, end) = (0, text.Length);
        while (removeExtraSpaces && begin < end && text.Chars[begin] == ' ')
            begin++;
        // A mark that stands in the text itself counts as a space at the end, as in SentencePiece.
        while (removeExtraSpaces && end > begin && (text.Chars[end - 1] is ' ' or Mark))
            end--;
        var builder = new AlignedTextBuilder(end - begin + 1);
        if (addDummyPrefix && begin < end)
            builder.Append(Mark, text.StartOf(begin), text.EndOf(begin + (char.IsHighSurrogate(text.Chars[begin]) ? 1 : 0)));
        for (var i = begin; i < end; i++)
        {
            if (text.Chars[i] != ' ')
                builder.AppendSlice(text, i, i + 1);
            else if (!removeExtraSpaces || text.Chars[i - 1] != ' ')
                builder.Append(Mark, text.StartOf(i), text.EndOf(i));
        }
        return builder.Build(text.Origin);
    }
}
