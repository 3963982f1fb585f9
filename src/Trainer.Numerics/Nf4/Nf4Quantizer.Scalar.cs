namespace Trainer.Numerics.Nf4;

public static unsafe partial class Nf4Quantizer
{
    /// <summary>The specification: one block of up to 64 elements; returns its absmax.</summary>
    internal static float BlockScalar(float* x, byte* packed, int count)
    {
        var absmax = 0f;
        for (var i = 0; i < count; i++)
        {
            var magnitude = MathF.Abs(x[i]);
            // As a comparison, not MathF.Max: a NaN must lose, as it does in the wide kernels.
            if (magnitude > absmax) absmax = magnitude;
        }
        var inverse = Inverse(absmax);
        for (var i = 0; i < count; i += 2)
        {
            var high = Code(x[i] * inverse);
            var low = i + 1 < count ? Code(x[i + 1] * inverse) : Nf4Codebook.ZeroCode;
            packed[i / 2] = (byte)(high << 4 | low);
        }
        return absmax;
    }

    private static float Inverse(float absmax) => absmax == 0f ? 0f : 1f / absmax;

    private static int Code(float scaled)
    {
        var code = 0;
        foreach (var threshold in Nf4Codebook.Thresholds)
            if (threshold < scaled) code++;
        return code;
    }
}
