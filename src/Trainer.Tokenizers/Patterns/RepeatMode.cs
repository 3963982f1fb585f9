namespace Trainer.Tokenizers.Patterns;

/// <summary>How a repetition chooses its count.</summary>
internal enum RepeatMode
{
    /// <summary>As many as possible.</summary>
    Greedy,

    /// <summary>As few as possible.</summary>
    Lazy,

    /// <summary>As many as possible, and none given back.</summary>
    Possessive,
}
