using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>Finds runs of a fixed number of letters.</summary>
internal sealed class FixedLength(int length) : IMatcher
{
    public void Find(ReadOnlySpan<char> text, MatchList matches)
    {
        for (var i = 0; i < text.Length;)
        {
            var begin = i;
            for (var k = 0; k < length && i < text.Length; k++)
                i += Transformation.CodePointAt(text, i) > 0xFFFF ? 2 : 1;
            matches.Add(begin, i);
        }
    }
}
