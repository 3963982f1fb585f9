namespace Trainer.Training.Options;

/// <summary>What a resumed run says of an option that differs from the one it was begun with.</summary>
public enum DriftRule
{
    /// <summary>It changes what is computed: refused.</summary>
    Refused,
    /// <summary>It changes no mathematics but may change the last bit: told.</summary>
    LastBit,
    /// <summary>It changes no number, or a rule of its own looks at it.</summary>
    Free,
}
