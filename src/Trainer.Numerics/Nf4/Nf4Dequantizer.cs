namespace Trainer.Numerics.Nf4;

/// <summary>Turns NF4 codes back into fp32 or bf16: value = codebook[code] * absmax, rounded once (and once more to bf16, to nearest even).</summary>
public static unsafe partial class Nf4Dequantizer
{
    /// <summary>Writes elements [begin, end) of a tensor as fp32. Ranges are independent of each other.</summary>
    /// <param name="source">The tensor.</param>
    /// <param name="output">Where element <paramref name="begin"/> goes.</param>
    /// <param name="begin">First element; a multiple of 64.</param>
    /// <param name="end">One past the last element.</param>
    public static void ToFloat(in Nf4Source source, float* output, long begin, long end) => ToFloat(Kernels.Width, source, output, begin, end);

    /// <summary>Writes elements [begin, end) of a tensor as bfloat16 bits.</summary>
    /// <param name="source">The tensor.</param>
    /// <param name="output">Where element <paramref name="begin"/> goes.</param>
    /// <param name="begin">First element; a multiple of 64.</param>
    /// <param name="end">One past the last element.</param>
    public static void ToBFloat16(in Nf4Source source, ushort* output, long begin, long end) => ToBFloat16(Kernels.Width, source, output, begin, end);

    /// <summary>Dequantizes a whole tensor with fp32 absmax on this thread.</summary>
    /// <param name="packed">Packed codes.</param>
    /// <param name="absmax">One value for each 64 elements.</param>
    /// <param name="output">fp32 values.</param>
    public static void ToFloat(ReadOnlySpan<byte> packed, ReadOnlySpan<float> absmax, Span<float> output)
    {
        if (packed.Length < Nf4Codebook.PackedBytes(output.Length) || absmax.Length < Nf4Codebook.Blocks(output.Length))
            throw new ArgumentException("packed codes or absmax values do not fit the output");
        fixed (byte* pPacked = packed)
        fixed (float* pAbsmax = absmax, pOutput = output)
            ToFloat(Nf4Source.Plain(pPacked, pAbsmax, output.Length), pOutput, 0, output.Length);
    }

    internal static void ToFloat(KernelWidth width, in Nf4Source source, float* output, long begin, long end)
    {
        if (begin % Nf4Codebook.BlockSize != 0) throw new ArgumentException("a range of NF4 elements starts at a multiple of 64", nameof(begin));
        var whole = begin + (end - begin) / Nf4Codebook.BlockSize * Nf4Codebook.BlockSize;
        switch (width)
        {
            case KernelWidth.Vector512:
                for (var at = begin; at < whole; at += Nf4Codebook.BlockSize)
                    FloatVector512(source.Packed + at / 2, source.BlockAbsmax(at / 64), output + (at - begin));
                break;
            case KernelWidth.Vector256:
                for (var at = begin; at < whole; at += Nf4Codebook.BlockSize)
                    FloatVector256(source.Packed + at / 2, source.BlockAbsmax(at / 64), output + (at - begin));
                break;
            case KernelWidth.Vector128:
                for (var at = begin; at < whole; at += Nf4Codebook.BlockSize)
                    FloatVector128(source.Packed + at / 2, source.BlockAbsmax(at / 64), output + (at - begin));
                break;
            default:
                for (var at = begin; at < whole; at += Nf4Codebook.BlockSize)
                    FloatScalar(source.Packed + at / 2, source.BlockAbsmax(at / 64), output + (at - begin), 64);
                break;
        }
        if (whole < end) FloatScalar(source.Packed + whole / 2, source.BlockAbsmax(whole / 64), output + (whole - begin), (int)(end - whole));
    }

    internal static void ToBFloat16(KernelWidth width, in Nf4Source source, ushort* output, long begin, long end)
    {
        if (begin % Nf4Codebook.BlockSize != 0) throw new ArgumentException("a range of NF4 elements starts at a multiple of 64", nameof(begin));
        var whole = begin + (end - begin) / Nf4Codebook.BlockSize * Nf4Codebook.BlockSize;
        for (var at = begin; at < whole; at += Nf4Codebook.BlockSize)
        {
            var absmax = source.BlockAbsmax(at / Nf4Codebook.BlockSize);
            switch (width)
            {
                case KernelWidth.Vector512: BFloat16Vector512(source.Packed + at / 2, absmax, output + (at - begin)); break;
                case KernelWidth.Vector256: BFloat16Vector256(source.Packed + at / 2, absmax, output + (at - begin)); break;
                case KernelWidth.Vector128: BFloat16Vector128(source.Packed + at / 2, absmax, output + (at - begin)); break;
                default: BFloat16Scalar(source.Packed + at / 2, absmax, output + (at - begin), 64); break;
            }
        }
        if (whole < end) BFloat16Scalar(source.Packed + whole / 2, source.BlockAbsmax(whole / 64), output + (whole - begin), (int)(end - whole));
    }
}
