using System.Runtime.Intrinsics;

namespace Trainer.Numerics.Nf4;

public static unsafe partial class Nf4Quantizer
{
    /// <summary>Twin of <see cref="BlockScalar"/>: 16 steps of four elements; a comparison's mask is -1, so subtracting it counts.</summary>
    internal static float BlockVector128(float* x, byte* packed)
    {
        var largest = Vector128<float>.Zero;
        for (var i = 0; i < Nf4Codebook.BlockSize; i += 4)
        {
            var magnitude = Vector128.Abs(Vector128.Load(x + i));
            largest = Vector128.ConditionalSelect(Vector128.GreaterThan(magnitude, largest), magnitude, largest);
        }
        var absmax = 0f;
        for (var lane = 0; lane < 4; lane++)
            if (largest[lane] > absmax) absmax = largest[lane];
        var inverse = Vector128.Create(Inverse(absmax));
        for (var i = 0; i < Nf4Codebook.BlockSize; i += 4)
        {
            var scaled = Vector128.Load(x + i) * inverse;
            var code = Vector128<int>.Zero;
            for (var t = 0; t < 15; t++) code -= Vector128.GreaterThan(scaled, Vector128.Create(Nf4Codebook.ThresholdTable[t])).AsInt32();
            packed[i / 2] = (byte)(code[0] << 4 | code[1]);
            packed[i / 2 + 1] = (byte)(code[2] << 4 | code[3]);
        }
        return absmax;
    }
}
