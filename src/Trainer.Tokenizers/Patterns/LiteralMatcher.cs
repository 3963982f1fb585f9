namespace Trainer.Tokenizers.Patterns;

/// <summary>Finds one string.</summary>
internal sealed class LiteralMatcher(string literal) : IMatcher
{
    public void Find(ReadOnlySpan<char> text, MatchList matches)
    {
        for (var position = 0; position < text.Length;)
        {
            var found = text[position..].IndexOf(literal, StringComparison.Ordinal);
            if (found < 0)
                return;
            matches.Add(position + found, position + found + literal.Length);
            position += found + literal.Length;
        }
    }
}
