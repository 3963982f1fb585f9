using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Patterns;

/// <summary>Finds <c>\w+|[^\w\s]+</c> as the Whitespace pre-tokenizer means it.</summary>
internal sealed class WordMatcher : IMatcher
{
    public void Find(ReadOnlySpan<char> text, MatchList matches)
    {
        var begin = 0;
        var kind = 0;
        for (var i = 0; i <= text.Length;)
        {
            var codePoint = i < text.Length ? Transformation.CodePointAt(text, i) : -1;
            var now = codePoint < 0 || CharacterSets.IsWhiteSpace(codePoint) ? 0 : CharacterSets.IsWord(codePoint) ? 1 : 2;
            if (now != kind)
            {
                if (kind != 0)
                    matches.Add(begin, i);
                (begin, kind) = (i, now);
            }
            i += codePoint > 0xFFFF ? 2 : 1;
        }
    }
}
