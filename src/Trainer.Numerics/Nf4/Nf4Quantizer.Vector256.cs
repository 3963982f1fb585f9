using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Nf4;

public static unsafe partial class Nf4Quantizer
{
    // Thresholds 0..7 and 8..15 as two registers: vpermps picks by the low three bits of each lane.
    private static readonly Vector256<float> LowThresholds = Vector256.Create(Nf4Codebook.ThresholdTable.AsSpan(0, 8));
    private static readonly Vector256<float> HighThresholds = Vector256.Create(Nf4Codebook.ThresholdTable.AsSpan(8, 8));

    /// <summary>Twin of <see cref="BlockScalar"/>: a binary search in four comparisons, eight elements at a time.</summary>
    internal static float BlockVector256(float* x, byte* packed)
    {
        var largest = Vector256<float>.Zero;
        for (var i = 0; i < Nf4Codebook.BlockSize; i += 8)
        {
            // vmaxps keeps its second operand when either is NaN: the comparison of the specification.
            largest = Avx.Max(Vector256.Abs(Vector256.Load(x + i)), largest);
        }
        var absmax = 0f;
        for (var lane = 0; lane < 8; lane++)
            if (largest[lane] > absmax) absmax = largest[lane];
        var inverse = Vector256.Create(Inverse(absmax));
        for (var i = 0; i < Nf4Codebook.BlockSize; i += 8)
        {
            var code = Codes(Vector256.Load(x + i) * inverse);
            // Even lanes go to the high nibble: as 64-bit pairs, (even << 4 | odd) lands in the low byte of each.
            var pairs = ((code.AsUInt64() << 4) | (code.AsUInt64() >> 32)).AsByte();
            packed[i / 2] = pairs[0];
            packed[i / 2 + 1] = pairs[8];
            packed[i / 2 + 2] = pairs[16];
            packed[i / 2 + 3] = pairs[24];
        }
        return absmax;
    }

    private static Vector256<int> Codes(Vector256<float> scaled)
    {
        var upper = Vector256.GreaterThan(scaled, Vector256.Create(Nf4Codebook.ThresholdTable[7]));
        var code = upper.AsInt32() & Vector256.Create(8);
        code += Vector256.GreaterThan(scaled, Pick(code + Vector256.Create(3), upper)).AsInt32() & Vector256.Create(4);
        code += Vector256.GreaterThan(scaled, Pick(code + Vector256.Create(1), upper)).AsInt32() & Vector256.Create(2);
        code += Vector256.GreaterThan(scaled, Pick(code, upper)).AsInt32() & Vector256.Create(1);
        return code;
    }

    private static Vector256<float> Pick(Vector256<int> index, Vector256<float> upper) => Vector256.ConditionalSelect(
        upper, Avx2.PermuteVar8x32(HighThresholds, index), Avx2.PermuteVar8x32(LowThresholds, index));
}
