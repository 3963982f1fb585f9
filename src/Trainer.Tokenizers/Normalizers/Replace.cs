using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>Replaces every match; the new letters are aligned to the last letter of the match.</summary>
internal sealed class Replace(IMatcher matcher, string content) : INormalizer
{
    public AlignedText Apply(AlignedText text)
    {
        var matches = new MatchList();
        if (text.Length > 0)
            matcher.Find(text.Span, matches);
        if (matches.Count == 0)
            return text;
        var builder = new AlignedTextBuilder(text.Length + 16);
        var done = 0;
        for (var i = 0; i < matches.Count; i++)
        {
            var (begin, end) = matches[i];
            builder.AppendSlice(text, done, begin);
            var (start, stop) = end == 0 ? (text.Origin, text.Origin) : Range(text, end - 1);
            builder.Append(content, start, stop);
            done = end;
        }
        builder.AppendSlice(text, done, text.Length);
        return builder.Build(text.Origin);
    }

    private static (int Start, int End) Range(AlignedText text, int last) =>
        (text.StartOf(text.IsInput && char.IsLowSurrogate(text.Chars[last]) ? last - 1 : last), text.EndOf(last));
}
