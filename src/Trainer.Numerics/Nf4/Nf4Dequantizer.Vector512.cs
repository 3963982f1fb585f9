using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Nf4;

public static unsafe partial class Nf4Dequantizer
{
    private static readonly Vector512<float> AllValues = Vector512.Create(Nf4Codebook.ValueTable.AsSpan());
    private static readonly Vector512<uint> NibbleShift512 = Vector512.Create(
        4u, 0u, 12u, 8u, 20u, 16u, 28u, 24u, 4u, 0u, 12u, 8u, 20u, 16u, 28u, 24u);

    /// <summary>Twin of <see cref="FloatScalar"/>.</summary>
    /// <remarks>
    /// Sixteen elements are two 4-byte words: the lower eight lanes get the first, the upper eight the second; each lane shifts its nibble to the
    /// bottom, and vpermps, which reads the low four bits of an index alone, looks it up in the scaled codebook (one register).
    /// </remarks>
    internal static void FloatVector512(byte* packed, float absmax, float* output)
    {
        var table = AllValues * Vector512.Create(absmax);
        var words = (uint*)packed;
        for (var i = 0; i < 4; i++)
        {
            var pair = Vector512.Create(Vector256.Create(words[2 * i]), Vector256.Create(words[2 * i + 1]));
            var nibbles = Avx512F.ShiftRightLogicalVariable(pair, NibbleShift512);
            Avx512F.PermuteVar16x32(table, nibbles.AsInt32()).Store(output + 16 * i);
        }
    }

    /// <summary>Twin of <see cref="BFloat16Scalar"/>: the rounded codebook is one 256-bit register of 16-bit values, vpermw looks 32 up at once.</summary>
    /// <remarks>32 elements are 16 bytes: each byte, zero-extended to 32 bits, becomes two 16-bit indices, its high nibble below its low one.</remarks>
    internal static void BFloat16Vector512(byte* packed, float absmax, ushort* output)
    {
        var bits = (AllValues * Vector512.Create(absmax)).AsUInt32();
        var rounded = (bits + Vector512.Create(0x7FFFu) + ((bits >> 16) & Vector512.Create(1u))) >> 16;
        var half = Avx512F.ConvertToVector256UInt16(rounded);
        // vpermw reads five index bits: the table twice, and codes below 16.
        var table = Vector512.Create(half, half);
        for (var i = 0; i < 2; i++)
        {
            var words = Avx512F.ConvertToVector512UInt32(Vector128.Load(packed + 16 * i));
            var codes = (words >> 4) | ((words & Vector512.Create(15u)) << 16);
            Avx512BW.PermuteVar32x16(table, codes.AsUInt16()).Store(output + 32 * i);
        }
    }
}
