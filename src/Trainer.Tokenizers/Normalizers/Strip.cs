using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>Drops white space at the ends.</summary>
internal sealed class Strip(bool left, bool right) : INormalizer
{
    public AlignedText Apply(AlignedText text)
    {
        var (begin, end) = (0, text.Length);
        while (left && begin < end && CharacterSets.IsWhiteSpace(text.Chars[begin]))
            begin++;
        while (right && end > begin && CharacterSets.IsWhiteSpace(text.Chars[end - 1]))
            end--;
        if (begin == 0 && end == text.Length)
            return text;
        var builder = new AlignedTextBuilder(end - begin);
        builder.AppendSlice(text, begin, end);
        return builder.Build(text.Origin);
    }
}
