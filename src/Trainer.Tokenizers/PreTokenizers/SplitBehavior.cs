namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>What becomes of the places where a text is split.</summary>
internal enum SplitBehavior
{
    /// <summary>Dropped.</summary>
    Removed,

    /// <summary>Pieces of their own.</summary>
    Isolated,

    /// <summary>Joined to the piece before.</summary>
    MergedWithPrevious,

    /// <summary>Joined to the piece behind.</summary>
    MergedWithNext,

    /// <summary>Pieces of their own, neighbours joined.</summary>
    Contiguous,
}
