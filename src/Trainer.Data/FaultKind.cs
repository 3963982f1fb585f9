namespace Trainer.Data;

/// <summary>Why a row was refused.</summary>
public enum FaultKind
{
    /// <summary>Not readable as a row: broken syntax, wrong types, unknown columns, damaged text.</summary>
    Malformed,
    /// <summary>More tokens than the sequence length, and no rule that may shorten it.</summary>
    TooLong,
    /// <summary>No token of the row would carry loss.</summary>
    NothingTrained,
    /// <summary>A trained turn without a trained end-of-turn token: a model taught so never stops.</summary>
    MissingEos,
    /// <summary>The chat template leaves out something that a trained turn says.</summary>
    LeftOut,
    /// <summary>Two beginning-of-text tokens in a row.</summary>
    DoubleBos,
}
