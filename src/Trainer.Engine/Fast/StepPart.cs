namespace Trainer.Engine.Fast;

/// <summary>What a step's time goes to.</summary>
public enum StepPart
{
    /// <summary>Writing frozen weights out as float32.</summary>
    Materialize,
    /// <summary>Products with frozen (or whole trained) matrices of the layers.</summary>
    Products,
    /// <summary>The adapters' low-rank products.</summary>
    Adapters,
    /// <summary>Attention.</summary>
    Attention,
    /// <summary>Norms, rotary embedding, gates, residual adds, gather and scatter.</summary>
    Elementwise,
    /// <summary>Head products and cross entropy.</summary>
    Loss,
}
