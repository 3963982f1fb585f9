using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Nf4;

public static unsafe partial class Nf4Quantizer
{
    /// <summary>Twin of <see cref="BlockScalar"/>: the 16 thresholds fill one register, vpermps searches them in four comparisons.</summary>
    internal static float BlockVector512(float* x, byte* packed)
    {
        Vector512<float> x0 = Vector512.Load(x), x1 = Vector512.Load(x + 16), x2 = Vector512.Load(x + 32), x3 = Vector512.Load(x + 48);
        var sign = Vector512.Create(0x7FFFFFFF).AsSingle();
        // vmaxps keeps its second operand when either is NaN: the comparison of the specification.
        var largest = Avx512F.Max(x0 & sign, Vector512<float>.Zero);
        largest = Avx512F.Max(x1 & sign, largest);
        largest = Avx512F.Max(x2 & sign, largest);
        largest = Avx512F.Max(x3 & sign, largest);
        var half = Avx.Max(largest.GetUpper(), largest.GetLower());
        var quarter = Sse.Max(half.GetUpper(), half.GetLower());
        quarter = Sse.Max(quarter, Sse.Shuffle(quarter, quarter, 0b01_00_11_10));
        quarter = Sse.Max(quarter, Sse.Shuffle(quarter, quarter, 0b10_11_00_01));
        var absmax = quarter.ToScalar();
        var inverse = Vector512.Create(Inverse(absmax));
        Pack(Codes(x0 * inverse), Codes(x1 * inverse)).Store(packed);
        Pack(Codes(x2 * inverse), Codes(x3 * inverse)).Store(packed + 16);
        return absmax;
    }

    private static Vector512<int> Codes(Vector512<float> scaled)
    {
        var thresholds = Vector512.Create(Nf4Codebook.ThresholdTable.AsSpan());
        var code = Vector512.GreaterThan(scaled, Vector512.Create(Nf4Codebook.ThresholdTable[7])).AsInt32() & Vector512.Create(8);
        code += Vector512.GreaterThan(scaled, Avx512F.PermuteVar16x32(thresholds, code + Vector512.Create(3))).AsInt32() & Vector512.Create(4);
        code += Vector512.GreaterThan(scaled, Avx512F.PermuteVar16x32(thresholds, code + Vector512.Create(1))).AsInt32() & Vector512.Create(2);
        code += Vector512.GreaterThan(scaled, Avx512F.PermuteVar16x32(thresholds, code)).AsInt32() & Vector512.Create(1);
        return code;
    }

    /// <summary>32 codes to 16 bytes: vpmovdb narrows each 16 to bytes, then within each 16-bit pair the even element moves to the high nibble.</summary>
    private static Vector128<byte> Pack(Vector512<int> first, Vector512<int> second)
    {
        var bytes = Vector256.Create(Avx512F.ConvertToVector128Byte(first), Avx512F.ConvertToVector128Byte(second)).AsUInt16();
        var pairs = (bytes << 4) | (bytes >> 8);
        return Avx512BW.VL.ConvertToVector128Byte(pairs);
    }
}
