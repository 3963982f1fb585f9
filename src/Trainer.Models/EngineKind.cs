namespace Trainer.Models;

/// <summary>Which engine computes a model.</summary>
public enum EngineKind
{
    /// <summary>The fast one where it can compute this model and adapter, else the reference.</summary>
    Auto,
    /// <summary>Torch operators and autograd; every family and variant.</summary>
    Reference,
    /// <summary>The hand-written CPU engine; refused where it cannot compute this model.</summary>
    Fast,
    /// <summary>The same hand-written layers over libtorch's operations, on any device of libtorch.</summary>
    Libtorch,
}
