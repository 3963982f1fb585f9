namespace Trainer.Engine.Fast.Layout;

/// <summary>How long a buffer of a pass is needed, and for what.</summary>
public enum BufferUse
{
    /// <summary>Tables of the batch, filled before the pass.</summary>
    Batch,
    /// <summary>The stream between layers: each layer's input, kept until its backward pass.</summary>
    Stream,
    /// <summary>What a layer keeps for its backward pass.</summary>
    Activations,
    /// <summary>Used anew by every operation or layer.</summary>
    Scratch,
    /// <summary>One chunk of rows that carry loss.</summary>
    Loss,
}
