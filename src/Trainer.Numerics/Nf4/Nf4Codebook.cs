namespace Trainer.Numerics.Nf4;

/// <summary>The 16 values of 4-bit NormalFloat and the thresholds between them (QLoRA, arXiv 2305.14314, appendix E).</summary>
/// <remarks>
/// Layout as bitsandbytes: blocks of 64 over the flattened tensor, one fp32 absmax a block, two codes a byte with the first element in the high nibble,
/// an odd element count padded with code 7 (zero).
/// </remarks>
public static class Nf4Codebook
{
    /// <summary>Elements that share one absmax.</summary>
    public const int BlockSize = 64;

    /// <summary>Absmax values that share one nested absmax under double quantization.</summary>
    public const int NestedBlockSize = 256;

    /// <summary>The code of 0.0.</summary>
    public const int ZeroCode = 7;

    internal static readonly float[] ValueTable =
    [
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f,
        1.0f,
    ];

    // Midpoints in fp32; the sixteenth never compares as smaller, so that tables fill a register.
    internal static readonly float[] ThresholdTable =
    [
        -0.8480963706970215f, -0.6106328964233398f, -0.4599952697753906f, -0.33967941999435425f, -0.23460739850997925f, -0.13791173696517944f,
        -0.045525018125772476f,
        0.03979014977812767f, 0.120255246758461f, 0.2035212516784668f, 0.2920137643814087f, 0.3893125355243683f, 0.5016634464263916f, 0.6427869200706482f,
        0.8614784479141235f,
        float.PositiveInfinity,
    ];

    /// <summary>The 16 values, ascending.</summary>
    public static ReadOnlySpan<float> Values => ValueTable;

    /// <summary>The 15 midpoints: a code is the number of thresholds below the scaled value, so a value on a threshold takes the lower code.</summary>
    public static ReadOnlySpan<float> Thresholds => ThresholdTable.AsSpan(0, 15);

    /// <summary>Blocks of a tensor.</summary>
    /// <param name="count">Elements of the tensor.</param>
    public static long Blocks(long count) => (count + BlockSize - 1) / BlockSize;

    /// <summary>Bytes of the packed codes of a tensor.</summary>
    /// <param name="count">Elements of the tensor.</param>
    public static long PackedBytes(long count) => (count + 1) / 2;

    /// <summary>Nested absmax values of a tensor under double quantization.</summary>
    /// <param name="count">Elements of the tensor.</param>
    public static long NestedBlocks(long count) => (Blocks(count) + NestedBlockSize - 1) / NestedBlockSize;
}
