namespace Trainer.Models.Config;

/// <summary>Layouts of quantized folders that are read.</summary>
public enum StoredFormat
{
    /// <summary>bitsandbytes' NF4.</summary>
    Nf4,
    /// <summary>transformers' fp8: E4M3 codes with inverse scales, by block or for the whole matrix.</summary>
    Fp8,
    /// <summary>compressed-tensors, float-quantized: E4M3 codes, a scale a row, a block or a matrix.</summary>
    CompressedFp8,
    /// <summary>compressed-tensors, pack-quantized: 4-bit integers.</summary>
    CompressedInt4,
    /// <summary>GPTQ, 4 bits, with or without activation order.</summary>
    Gptq,
    /// <summary>AWQ, 4 bits, gemm layout.</summary>
    Awq,
    /// <summary>MXFP4: experts in 4-bit floats with an exponent a block; all else as it is.</summary>
    Mxfp4,
    /// <summary>Blocks of a GGUF file, each matrix of its own type.</summary>
    Gguf,
}
