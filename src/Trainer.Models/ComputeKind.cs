namespace Trainer.Models;

/// <summary>The type frozen matrices are multiplied in; norms, residuals, adapters and the loss are always float32.</summary>
public enum ComputeKind
{
    /// <summary>float32 on CPUs, bfloat16 on GPUs.</summary>
    Auto,
    /// <summary>32-bit IEEE.</summary>
    Float32,
    /// <summary>bfloat16.</summary>
    BFloat16,
}
