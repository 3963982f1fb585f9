namespace Trainer.Tokenizers.Patterns;

/// <summary>A regular expression as a tree; every character test is a set of code points.</summary>
internal abstract record PatternNode
{
    /// <summary>One letter of a set.</summary>
    public sealed record Letter(CodePointSet Set) : PatternNode;

    /// <summary>One after the other.</summary>
    public sealed record Sequence(IReadOnlyList<PatternNode> Items) : PatternNode;

    /// <summary>The first that leads to a match.</summary>
    public sealed record Choice(IReadOnlyList<PatternNode> Items) : PatternNode;

    /// <summary>Between <paramref name="Least"/> and <paramref name="Most"/> times (-1: no upper bound).</summary>
    public sealed record Repeat(PatternNode Item, int Least, int Most, RepeatMode Mode) : PatternNode;

    /// <summary>Without going back into it.</summary>
    public sealed record Atomic(PatternNode Item) : PatternNode;

    /// <summary>What follows or precedes, without consuming it.</summary>
    public sealed record Look(PatternNode Item, bool Ahead, bool Negative) : PatternNode;

    /// <summary>The very beginning or end of the text.</summary>
    public sealed record Edge(bool AtEnd) : PatternNode;
}
