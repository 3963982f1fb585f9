namespace Trainer.Numerics;

/// <summary>How wide a kernel's registers are.</summary>
public enum KernelWidth
{
    /// <summary>One value at a time: the specification.</summary>
    Scalar,
    /// <summary>128 bits (SSE, NEON).</summary>
    Vector128,
    /// <summary>256 bits (AVX2 with FMA).</summary>
    Vector256,
    /// <summary>512 bits (AVX-512 F, BW, DQ, VL).</summary>
    Vector512,
}
