using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Patterns;

/// <summary>Finds single letters that a test accepts.</summary>
internal sealed class LetterMatcher(Func<int, bool> accepts) : IMatcher
{
    public void Find(ReadOnlySpan<char> text, MatchList matches)
    {
        for (var i = 0; i < text.Length;)
        {
            var codePoint = Transformation.CodePointAt(text, i);
            var next = i + (codePoint > 0xFFFF ? 2 : 1);
            if (accepts(codePoint))
                matches.Add(i, next);
            i = next;
        }
    }
}
