namespace Trainer.Engine.Passes;

/// <summary>What a pass is for, and so what it keeps.</summary>
public enum PassMode
{
    /// <summary>Losses alone.</summary>
    Losses,
    /// <summary>Logits alone, of all rows.</summary>
    Logits,
    /// <summary>Gradients; layer inputs are kept, layers are recomputed in the backward pass.</summary>
    Recomputed,
    /// <summary>Gradients; all that the backward pass needs is kept.</summary>
    Kept,
}
