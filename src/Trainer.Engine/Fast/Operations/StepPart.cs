namespace Trainer.Engine.Fast.Operations;

/// <summary>What a step's time goes to.</summary>
public enum StepPart
{
    /// <summary>Products with the frozen matrices of the layers, which are written out as they are used.</summary>
    Products,
    /// <summary>Products with trained matrices: the adapters' low-rank ones, or whole ones.</summary>
    Adapters,
    /// <summary>Attention.</summary>
    Attention,
    /// <summary>Norms, rotary embedding, gates, residual adds, gather and scatter.</summary>
    Elementwise,
    /// <summary>Frozen products of the head, and cross entropy.</summary>
    Loss,
}
