namespace Trainer.Models.Config;

/// <summary>How a folder's linear weights are already quantized, as its config.json declares.</summary>
public sealed record StoredQuantization
{
    /// <summary>The layout of the tensors.</summary>
    public required StoredFormat Format { get; init; }

    /// <summary>Whether absmax values of the 4-bit codes are quantized too (bitsandbytes).</summary>
    public bool DoubleQuantized { get; init; }

    /// <summary>Rows and columns that share a scale (8-bit floats in blocks), or null where the scales' own shape says it.</summary>
    public (int Rows, int Columns)? Block { get; init; }

    /// <summary>Columns that share a scale (4-bit integers); null is all columns of a row.</summary>
    public int? GroupSize { get; init; }

    /// <summary>Zero points are stored minus one (GPTQ's first format).</summary>
    public bool ZerosMinusOne { get; init; }

    /// <summary>What the tool that made the folder calls it, for messages.</summary>
    public required string Name { get; init; }

    /// <summary>Bits of a code.</summary>
    public int Bits => Format is StoredFormat.Fp8 or StoredFormat.CompressedFp8 ? 8 : 4;

    /// <summary>The codes are NF4 as this trainer holds them, so the folder stays as it is whatever is asked for.</summary>
    public bool IsNf4 => Format == StoredFormat.Nf4;
}
