using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Nf4;

public static unsafe partial class Nf4Dequantizer
{
    // Shift that brings lane n's nibble of a 4-byte word down: byte n/2, high nibble first.
    private static readonly Vector256<uint> NibbleShift = Vector256.Create(4u, 0u, 12u, 8u, 20u, 16u, 28u, 24u);
    private static readonly Vector256<float> LowValues = Vector256.Create(Nf4Codebook.ValueTable.AsSpan(0, 8));
    private static readonly Vector256<float> HighValues = Vector256.Create(Nf4Codebook.ValueTable.AsSpan(8, 8));

    /// <summary>Twin of <see cref="FloatScalar"/>.</summary>
    /// <remarks>
    /// Eight elements are four bytes: broadcast them, shift each lane's nibble to the bottom, look the low three bits up in both halves of the
    /// scaled codebook (vpermps ignores higher bits) and let bit 3, moved to the sign, choose (vblendvps reads the sign alone).
    /// </remarks>
    internal static void FloatVector256(byte* packed, float absmax, float* output)
    {
        var factor = Vector256.Create(absmax);
        var low = LowValues * factor;
        var high = HighValues * factor;
        for (var i = 0; i < 64; i += 8)
        {
            var nibbles = Avx2.ShiftRightLogicalVariable(Vector256.Create(*(uint*)(packed + i / 2)), NibbleShift);
            var chooser = (nibbles << 28).AsSingle();
            var index = nibbles.AsInt32();
            Avx.BlendVariable(Avx2.PermuteVar8x32(low, index), Avx2.PermuteVar8x32(high, index), chooser).Store(output + i);
        }
    }

    /// <summary>Twin of <see cref="BFloat16Scalar"/>.</summary>
    /// <remarks>
    /// The scaled codebook is rounded once a block and split into a table of low and a table of high bytes; vpshufb looks 32 nibbles up at once.
    /// vpunpck works within 128-bit lanes, so each lane yields consecutive elements and the lanes are stored separately.
    /// </remarks>
    internal static void BFloat16Vector256(byte* packed, float absmax, ushort* output)
    {
        var factor = Vector256.Create(absmax);
        var table = Vector256.Narrow(RoundedBits(LowValues * factor), RoundedBits(HighValues * factor));
        var lowBytes = Vector128.Narrow(table.GetLower() & Vector128.Create((ushort)255), table.GetUpper() & Vector128.Create((ushort)255));
        var highBytes = Vector128.Narrow(table.GetLower() >> 8, table.GetUpper() >> 8);
        var lowTable = Vector256.Create(lowBytes, lowBytes);
        var highTable = Vector256.Create(highBytes, highBytes);
        var bytes = Vector256.Load(packed);
        var mask = Vector256.Create((byte)15);
        var even = (bytes.AsUInt16() >> 4).AsByte() & mask;
        var odd = bytes & mask;
        Write(Avx2.UnpackLow(even, odd), lowTable, highTable, output, output + 32);
        Write(Avx2.UnpackHigh(even, odd), lowTable, highTable, output + 16, output + 48);
    }

    private static void Write(Vector256<byte> codes, Vector256<byte> lowTable, Vector256<byte> highTable, ushort* lowerLane, ushort* upperLane)
    {
        var low = Avx2.Shuffle(lowTable, codes);
        var high = Avx2.Shuffle(highTable, codes);
        var first = Avx2.UnpackLow(low, high).AsUInt16();
        var second = Avx2.UnpackHigh(low, high).AsUInt16();
        first.GetLower().Store(lowerLane);
        second.GetLower().Store(lowerLane + 8);
        first.GetUpper().Store(upperLane);
        second.GetUpper().Store(upperLane + 8);
    }

    // Nearest even: add half an ulp, less one unless the kept bit is odd. Codebook times absmax is finite here.
    private static Vector256<uint> RoundedBits(Vector256<float> value)
    {
        var bits = value.AsUInt32();
        return (bits + Vector256.Create(0x7FFFu) + ((bits >> 16) & Vector256.Create(1u))) >> 16;
    }
}
