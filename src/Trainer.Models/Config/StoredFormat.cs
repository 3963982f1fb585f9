namespace Trainer.Models.Config;

/// <summary>Layouts of quantized folders that are read.</summary>
public enum StoredFormat
{
    /// <summary>bitsandbytes' NF4.</summary>
    Nf4,
    /// <summary>bitsandbytes' 4-bit floats.</summary>
    BnbFp4,
    /// <summary>bitsandbytes' 8-bit integers, a scale a row.</summary>
    BnbInt8,
    /// <summary>transformers' fp8: E4M3 codes with inverse scales, by block or for the whole matrix.</summary>
    Fp8,
    /// <summary>compressed-tensors, float-quantized: E4M3 codes, a scale a row, a group, a block or a matrix.</summary>
    CompressedFp8,
    /// <summary>compressed-tensors, pack-quantized: integers of 2, 4 or 8 bits in words.</summary>
    CompressedPacked,
    /// <summary>compressed-tensors, int-quantized: 8-bit integers.</summary>
    CompressedInt8,
    /// <summary>GPTQ, 2, 3, 4 or 8 bits, with or without activation order.</summary>
    Gptq,
    /// <summary>AWQ, 4 bits, gemm layout: words of output features in an order of their own.</summary>
    Awq,
    /// <summary>AWQ, 4 bits, gemv layout: words of input features in order.</summary>
    AwqGemv,
    /// <summary>MXFP4: experts in 4-bit floats with an exponent a block; all else as it is.</summary>
    Mxfp4,
    /// <summary>Blocks of a GGUF file, each matrix of its own type.</summary>
    Gguf,
}
