namespace Trainer.Templates;

/// <summary>A range of UTF-16 chars of a text.</summary>
/// <param name="Start">First char.</param>
/// <param name="End">One past the last char.</param>
public readonly record struct TextSpan(int Start, int End)
{
    /// <summary>Chars in the range.</summary>
    public int Length => End - Start;
}
