namespace Trainer.Models;

/// <summary>The type frozen matrices are multiplied in; norms, residuals, adapters and the loss are always float32.</summary>
public enum ComputeKind
{
    /// <summary>float32 on processors, bfloat16 on GPUs.</summary>
    Auto,
    /// <summary>32-bit IEEE.</summary>
    Float32,
    /// <summary>bfloat16.</summary>
    BFloat16,
    /// <summary>8 bits where the product is large, float32 for the rest; the hand-written engine alone.</summary>
    Int8,
}
