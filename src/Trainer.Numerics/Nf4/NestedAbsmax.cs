namespace Trainer.Numerics.Nf4;

/// <summary>Double quantization: the fp32 absmax values of an NF4 tensor as 8-bit codes (QLoRA, arXiv 2305.14314, section 3).</summary>
/// <remarks>
/// offset = mean(absmax); blocks of 256 of (absmax - offset) are scaled by 1 / their absmax and take the nearest value of <see cref="DynamicMap"/>.
/// Nearest is exact: bitsandbytes' CPU library looks codes up in a table of 65536 steps and misses by one in about 3 of 1000.
/// </remarks>
public static class NestedAbsmax
{
    /// <summary>Codes absmax values; returns the offset.</summary>
    /// <param name="absmax">One value for each 64 elements.</param>
    /// <param name="codes">One code for each absmax value.</param>
    /// <param name="nestedAbsmax">One value for each 256 absmax values, rounded up.</param>
    public static float Quantize(ReadOnlySpan<float> absmax, Span<byte> codes, Span<float> nestedAbsmax)
    {
        const int size = Nf4Codebook.NestedBlockSize;
        if (codes.Length < absmax.Length || nestedAbsmax.Length < (absmax.Length + size - 1) / size)
            throw new ArgumentException("codes or nested absmax values do not fit the input");
        var offset = TorchSum.Of(absmax) / absmax.Length;
        for (var begin = 0; begin < absmax.Length; begin += size)
        {
            var end = Math.Min(begin + size, absmax.Length);
            var largest = 0f;
            for (var i = begin; i < end; i++) largest = MathF.Max(largest, MathF.Abs(absmax[i] - offset));
            nestedAbsmax[begin / size] = largest;
            var inverse = largest == 0f ? 0f : 1f / largest;
            for (var i = begin; i < end; i++) codes[i] = Nearest((absmax[i] - offset) * inverse);
        }
        return offset;
    }

    /// <summary>Decodes absmax values: map[code] * nested absmax, then + offset, each rounded.</summary>
    /// <param name="codes">8-bit codes.</param>
    /// <param name="nestedAbsmax">One value for each 256 codes.</param>
    /// <param name="map">256 values; <see cref="DynamicMap.Values"/> unless the file brought its own.</param>
    /// <param name="offset">The offset.</param>
    /// <param name="absmax">Decoded values.</param>
    public static void Dequantize(ReadOnlySpan<byte> codes, ReadOnlySpan<float> nestedAbsmax, ReadOnlySpan<float> map, float offset, Span<float> absmax)
    {
        for (var i = 0; i < codes.Length; i++)
        {
            var product = map[codes[i]] * nestedAbsmax[i / Nf4Codebook.NestedBlockSize];
            absmax[i] = product + offset;
        }
    }

    /// <summary>The nearest code by bisection; on a midpoint the value that the bisection ended on stays, as in bitsandbytes' dQuantize.</summary>
    internal static byte Nearest(float x)
    {
        var map = DynamicMap.Array;
        int pivot = DynamicMap.Zero, upper = 255, lower = 0;
        for (var step = 64; step > 0; step >>= 1)
        {
            if (x > map[pivot])
            {
                lower = pivot;
                pivot += step;
            }
            else
            {
                upper = pivot;
                pivot -= step;
            }
        }
        if (x > map[pivot]) return (byte)(x > (map[upper] + map[pivot]) * 0.5f ? upper : pivot);
        return (byte)(x < (map[lower] + map[pivot]) * 0.5f ? lower : pivot);
    }
}
