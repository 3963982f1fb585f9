using Trainer.Numerics.Half;

namespace Trainer.Numerics.Nf4;

public static unsafe partial class Nf4Dequantizer
{
    /// <summary>The specification: up to 64 elements that share one absmax.</summary>
    internal static void FloatScalar(byte* packed, float absmax, float* output, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var code = i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
            output[i] = Nf4Codebook.ValueTable[code] * absmax;
        }
    }

    /// <summary>The specification for bf16: the fp32 product, rounded to nearest even.</summary>
    internal static void BFloat16Scalar(byte* packed, float absmax, ushort* output, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var code = i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
            output[i] = BFloat16Bits.FromFloat(Nf4Codebook.ValueTable[code] * absmax);
        }
    }
}
