namespace Trainer.Numerics.Nf4;

/// <summary>Turns fp32 values into NF4 codes and absmax values, block by block.</summary>
/// <remarks>
/// code(x) = number of thresholds below x * (1 / absmax), all in fp32; a block of zeros has absmax 0 and code 7.
/// Values must be finite: a NaN takes code 0 and is not counted in absmax.
/// </remarks>
public static unsafe partial class Nf4Quantizer
{
    /// <summary>Quantizes elements [begin, end) of a tensor. Ranges that start at block starts can be done in any order, on any thread.</summary>
    /// <param name="input">Element <paramref name="begin"/> of the tensor, fp32.</param>
    /// <param name="packed">Start of the tensor's packed codes.</param>
    /// <param name="absmax">Start of the tensor's absmax values.</param>
    /// <param name="begin">First element; a multiple of 64.</param>
    /// <param name="end">One past the last element; a multiple of 64 or the tensor's end.</param>
    public static void Quantize(float* input, byte* packed, float* absmax, long begin, long end) => Quantize(Kernels.Width, input, packed, absmax, begin, end);

    /// <summary>Quantizes a whole tensor on this thread.</summary>
    /// <param name="input">Values, fp32.</param>
    /// <param name="packed">(n + 1) / 2 bytes.</param>
    /// <param name="absmax">One value for each 64 elements.</param>
    public static void Quantize(ReadOnlySpan<float> input, Span<byte> packed, Span<float> absmax)
    {
        if (packed.Length < Nf4Codebook.PackedBytes(input.Length) || absmax.Length < Nf4Codebook.Blocks(input.Length))
            throw new ArgumentException("packed codes or absmax values do not fit the input");
        fixed (float* pInput = input, pAbsmax = absmax)
        fixed (byte* pPacked = packed)
            Quantize(pInput, pPacked, pAbsmax, 0, input.Length);
    }

    internal static void Quantize(KernelWidth width, float* input, byte* packed, float* absmax, long begin, long end)
    {
        if (begin % Nf4Codebook.BlockSize != 0) throw new ArgumentException("a range of NF4 elements starts at a multiple of 64", nameof(begin));
        var whole = begin + (end - begin) / Nf4Codebook.BlockSize * Nf4Codebook.BlockSize;
        for (var at = begin; at < whole; at += Nf4Codebook.BlockSize)
        {
            var x = input + (at - begin);
            var codes = packed + at / 2;
            absmax[at / Nf4Codebook.BlockSize] = width switch
            {
                KernelWidth.Vector512 => BlockVector512(x, codes),
                KernelWidth.Vector256 => BlockVector256(x, codes),
                KernelWidth.Vector128 => BlockVector128(x, codes),
                _ => BlockScalar(x, codes, Nf4Codebook.BlockSize),
            };
        }
        if (whole < end) absmax[whole / Nf4Codebook.BlockSize] = BlockScalar(input + (whole - begin), packed + whole / 2, (int)(end - whole));
    }
}
