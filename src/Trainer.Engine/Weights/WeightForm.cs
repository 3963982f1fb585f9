namespace Trainer.Engine.Weights;

/// <summary>How a frozen matrix is held.</summary>
public enum WeightForm
{
    /// <summary>32-bit floats.</summary>
    Float32,
    /// <summary>bfloat16.</summary>
    BFloat16,
    /// <summary>Half precision.</summary>
    Float16,
    /// <summary>4-bit NormalFloat, blocks of 64.</summary>
    Nf4,
    /// <summary>8-bit codes, a scale a row.</summary>
    Int8,
    /// <summary>4-bit codes with scales and zero points for groups of columns.</summary>
    Int4,
    /// <summary>8-bit codes with scales for rows or groups of columns, as another tool stored them.</summary>
    GroupedInt8,
    /// <summary>4-bit floats with scales for blocks (bitsandbytes).</summary>
    Fp4,
    /// <summary>8-bit floats with scales.</summary>
    Fp8,
    /// <summary>4-bit floats with a shared exponent for 32 columns.</summary>
    Mxfp4,
    /// <summary>Blocks of a GGUF type.</summary>
    Gguf,
}
