using System.Runtime.Intrinsics;
using Trainer.Numerics.Half;

namespace Trainer.Numerics.Nf4;

public static unsafe partial class Nf4Dequantizer
{
    /// <summary>Twin of <see cref="FloatScalar"/>: the codebook is scaled once a block, then looked up.</summary>
    internal static void FloatVector128(byte* packed, float absmax, float* output)
    {
        var table = stackalloc float[16];
        ScaledTable(absmax, table);
        for (var i = 0; i < 32; i++)
        {
            output[2 * i] = table[packed[i] >> 4];
            output[2 * i + 1] = table[packed[i] & 15];
        }
    }

    /// <summary>Twin of <see cref="BFloat16Scalar"/>: the codebook is scaled and rounded once a block, then looked up.</summary>
    internal static void BFloat16Vector128(byte* packed, float absmax, ushort* output)
    {
        var scaled = stackalloc float[16];
        var table = stackalloc ushort[16];
        ScaledTable(absmax, scaled);
        for (var i = 0; i < 16; i++) table[i] = BFloat16Bits.FromFloat(scaled[i]);
        for (var i = 0; i < 32; i++)
        {
            output[2 * i] = table[packed[i] >> 4];
            output[2 * i + 1] = table[packed[i] & 15];
        }
    }

    private static void ScaledTable(float absmax, float* table)
    {
        var factor = Vector128.Create(absmax);
        for (var i = 0; i < 16; i += 4) (Vector128.Create(Nf4Codebook.ValueTable.AsSpan(i, 4)) * factor).Store(table + i);
    }
}
