namespace Trainer.Tokenizers.Patterns;

/// <summary>Finds a pattern in a text of well-formed UTF-16.</summary>
internal interface IMatcher
{
    /// <summary>Adds every match, left to right.</summary>
    void Find(ReadOnlySpan<char> text, MatchList matches);
}
