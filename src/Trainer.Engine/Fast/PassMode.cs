namespace Trainer.Engine.Fast;

/// <summary>What a pass keeps.</summary>
internal enum PassMode
{
    /// <summary>Nothing: losses or logits alone.</summary>
    Forward,
    /// <summary>Layer inputs; layers are recomputed in the backward pass.</summary>
    Recomputed,
    /// <summary>All that the backward pass needs.</summary>
    Kept,
}
