using System.Runtime.InteropServices;
using Trainer.Checkpoints.Gguf;
using Trainer.Numerics.Half;

namespace Trainer.Engine.Weights.Stored;

/// <summary>The values of one block of a GGUF type, exactly as ggml defines them (ggml-quants.c, dequantize_row_*): scales are half precision, arithmetic is
/// float32.</summary>
internal static unsafe class GgufDecoder
{
    /// <summary>Elements of the largest block.</summary>
    public const int LargestBlock = 256;

    private static ReadOnlySpan<float> HalfFloats => [0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6];

    // Levels of the uneven 4-bit types.
    private static ReadOnlySpan<sbyte> Levels => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    /// <summary>The types with codes that are read.</summary>
    public static IReadOnlyList<GgufTensorType> Types { get; } =
    [
        GgufTensorType.Q4_0, GgufTensorType.Q4_1, GgufTensorType.Q5_0, GgufTensorType.Q5_1, GgufTensorType.Q8_0, GgufTensorType.Q2_K, GgufTensorType.Q3_K,
        GgufTensorType.Q4_K, GgufTensorType.Q5_K, GgufTensorType.Q6_K, GgufTensorType.IQ4_NL, GgufTensorType.IQ4_XS, GgufTensorType.MXFP4,
    ];

    /// <summary>The values of whole blocks, or of plain numbers.</summary>
    /// <param name="type">F32, F16, BF16 or one of <see cref="Types"/>.</param>
    /// <param name="bytes">Their bytes.</param>
    public static float[] Floats(GgufTensorType type, ReadOnlySpan<byte> bytes)
    {
        var (elements, size) = type.Block()!.Value;
        var values = new float[bytes.Length / size * elements];
        fixed (byte* from = bytes)
        fixed (float* to = values)
        {
            switch (type)
            {
                case GgufTensorType.F32: bytes.CopyTo(MemoryMarshal.AsBytes(values.AsSpan())); break;
                case GgufTensorType.F16: Float16Bits.ToFloat((ushort*)from, to, values.Length); break;
                case GgufTensorType.BF16: BFloat16Bits.ToFloat((ushort*)from, to, values.Length); break;
                default:
                    for (long block = 0; block < bytes.Length / size; block++) Decode(type, from + block * size, to + block * elements);
                    break;
            }
        }
        return values;
    }

    /// <summary>Writes the values of one block.</summary>
    public static void Decode(GgufTensorType type, byte* block, float* values)
    {
        switch (type)
        {
            case GgufTensorType.Q4_0: Nibbles(block, 2, values, Half(block), null); break;
            case GgufTensorType.Q4_1: Nibbles(block, 4, values, Half(block), Half(block + 2)); break;
            case GgufTensorType.Q5_0: FiveBits(block, 2, values, Half(block), null); break;
            case GgufTensorType.Q5_1: FiveBits(block, 4, values, Half(block), Half(block + 2)); break;
            case GgufTensorType.Q8_0: Q8(block, values); break;
            case GgufTensorType.Q2_K: Q2K(block, values); break;
            case GgufTensorType.Q3_K: Q3K(block, values); break;
            case GgufTensorType.IQ4_NL: Uneven(block + 2, values, Half(block)); break;
            case GgufTensorType.IQ4_XS: Iq4Xs(block, values); break;
            case GgufTensorType.Q4_K: Q4K(block, values); break;
            case GgufTensorType.Q5_K: Q5K(block, values); break;
            case GgufTensorType.Q6_K: Q6K(block, values); break;
            case GgufTensorType.MXFP4: Mxfp4(block, values); break;
            default: throw new NotSupportedException(type.ToString());
        }
    }

    /// <summary>Whether the scales of a block are finite.</summary>
    public static bool IsFinite(GgufTensorType type, byte* block) => type switch
    {
        GgufTensorType.Q2_K => float.IsFinite(Half(block + 80)) && float.IsFinite(Half(block + 82)),
        GgufTensorType.Q3_K => float.IsFinite(Half(block + 108)),
        GgufTensorType.Q6_K => float.IsFinite(Half(block + 208)),
        GgufTensorType.MXFP4 => *block != 255,
        GgufTensorType.Q4_1 or GgufTensorType.Q5_1 or GgufTensorType.Q4_K or GgufTensorType.Q5_K => float.IsFinite(Half(block))
            && float.IsFinite(Half(block + 2)),
        _ => float.IsFinite(Half(block)),
    };

    private static float Half(byte* at) => (float)MemoryMarshal.Read<System.Half>(new ReadOnlySpan<byte>(at, 2));

    // Elements 0..15 in the low nibbles of 16 bytes, 16..31 in the high ones.
    private static void Nibbles(byte* block, int codes, float* values, float d, float? m)
    {
        for (var j = 0; j < 16; j++)
        {
            int low = block[codes + j] & 15, high = block[codes + j] >> 4;
            (values[j], values[j + 16]) = m is { } least ? (low * d + least, high * d + least) : ((low - 8) * d, (high - 8) * d);
        }
    }

    private static void FiveBits(byte* block, int high, float* values, float d, float? m)
    {
        var bits = MemoryMarshal.Read<uint>(new ReadOnlySpan<byte>(block + high, 4));
        var codes = block + high + 4;
        for (var j = 0; j < 16; j++)
        {
            var (first, second) = ((codes[j] & 15) | (int)((bits >> j) << 4 & 16), (codes[j] >> 4) | (int)(bits >> (j + 12) & 16));
            (values[j], values[j + 16]) = m is { } least ? (first * d + least, second * d + least) : ((first - 16) * d, (second - 16) * d);
        }
    }

    private static void Q8(byte* block, float* values)
    {
        var d = Half(block);
        for (var j = 0; j < 32; j++) values[j] = (sbyte)block[2 + j] * d;
    }

    // Sixteen elements share a scale and a minimum of four bits each; the codes of four runs of 32 lie over each other.
    private static void Q2K(byte* block, float* values)
    {
        byte* scales = block, codes = block + 16;
        var (d, least) = (Half(block + 80), Half(block + 82));
        for (var half = 0; half < 2; half++, codes += 32)
        {
            for (var shift = 0; shift < 8; shift += 2)
            {
                for (var part = 0; part < 2; part++, scales++, values += 16)
                {
                    float scale = d * (*scales & 15), minimum = least * (*scales >> 4);
                    for (var l = 0; l < 16; l++) values[l] = scale * ((codes[16 * part + l] >> shift) & 3) - minimum;
                }
            }
        }
    }

    // Likewise, with a third bit in a mask, of which a zero takes four off, and scales of six bits in two places.
    private static void Q3K(byte* block, float* values)
    {
        byte* mask = block, codes = block + 32, scales = block + 96;
        var (d, bit) = (Half(block + 108), 1);
        for (var j = 0; j < 16; j += 2)
        {
            for (var part = 0; part < 2; part++, values += 16)
            {
                var at = j + part;
                var scale = d * (((scales[at % 8] >> (at / 8 * 4)) & 15 | ((scales[8 + at % 4] >> (at / 4 * 2)) & 3) << 4) - 32);
                for (var l = 16 * part; l < 16 * part + 16; l++)
                    values[l - 16 * part] = scale * (((codes[j / 8 * 32 + l] >> (j % 8)) & 3) - ((mask[l] & bit) != 0 ? 0 : 4));
            }
            bit <<= 1;
        }
    }

    private static void Uneven(byte* codes, float* values, float d)
    {
        var levels = Levels;
        for (var j = 0; j < 16; j++) (values[j], values[j + 16]) = (d * levels[codes[j] & 15], d * levels[codes[j] >> 4]);
    }

    private static void Iq4Xs(byte* block, float* values)
    {
        var d = Half(block);
        var high = MemoryMarshal.Read<ushort>(new ReadOnlySpan<byte>(block + 2, 2));
        for (var sub = 0; sub < 8; sub++)
        {
            var scale = ((block[4 + sub / 2] >> (4 * (sub % 2))) & 15) | ((high >> (2 * sub) & 3) << 4);
            Uneven(block + 8 + 16 * sub, values + 32 * sub, d * (scale - 32));
        }
    }

    // Six-bit scale and minimum of sub-block j: the first four lie plainly, the others in pieces.
    private static (int Scale, int Least) SixBits(byte* q, int j) => j < 4
        ? (q[j] & 63, q[j + 4] & 63)
        : ((q[j + 4] & 15) | ((q[j - 4] >> 6) << 4), (q[j + 4] >> 4) | ((q[j] >> 6) << 4));

    private static void Q4K(byte* block, float* values)
    {
        var (d, least) = (Half(block), Half(block + 2));
        byte* scales = block + 4, codes = block + 16;
        for (var pair = 0; pair < 4; pair++, codes += 32, values += 64)
        {
            var (one, two) = (SixBits(scales, 2 * pair), SixBits(scales, 2 * pair + 1));
            float d1 = d * one.Scale, m1 = least * one.Least, d2 = d * two.Scale, m2 = least * two.Least;
            for (var l = 0; l < 32; l++) (values[l], values[l + 32]) = (d1 * (codes[l] & 15) - m1, d2 * (codes[l] >> 4) - m2);
        }
    }

    private static void Q5K(byte* block, float* values)
    {
        var (d, least) = (Half(block), Half(block + 2));
        byte* scales = block + 4, high = block + 16, codes = block + 48;
        for (var pair = 0; pair < 4; pair++, codes += 32, values += 64)
        {
            var (one, two) = (SixBits(scales, 2 * pair), SixBits(scales, 2 * pair + 1));
            float d1 = d * one.Scale, m1 = least * one.Least, d2 = d * two.Scale, m2 = least * two.Least;
            for (var l = 0; l < 32; l++)
            {
                var (first, second) = ((codes[l] & 15) + 16 * (high[l] >> (2 * pair) & 1), (codes[l] >> 4) + 16 * (high[l] >> (2 * pair + 1) & 1));
                (values[l], values[l + 32]) = (d1 * first - m1, d2 * second - m2);
            }
        }
    }

    private static void Q6K(byte* block, float* values)
    {
        byte* low = block, high = block + 128;
        var scales = (sbyte*)(block + 192);
        var d = Half(block + 208);
        for (var half = 0; half < 2; half++, values += 128, low += 64, high += 32, scales += 8)
        {
            for (var l = 0; l < 32; l++)
            {
                var s = l / 16;
                values[l] = d * scales[s] * (((low[l] & 15) | ((high[l] & 3) << 4)) - 32);
                values[l + 32] = d * scales[s + 2] * (((low[l + 32] & 15) | ((high[l] >> 2 & 3) << 4)) - 32);
                values[l + 64] = d * scales[s + 4] * (((low[l] >> 4) | ((high[l] >> 4 & 3) << 4)) - 32);
                values[l + 96] = d * scales[s + 6] * (((low[l + 32] >> 4) | ((high[l] >> 6 & 3) << 4)) - 32);
            }
        }
    }

    private static void Mxfp4(byte* block, float* values)
    {
        var scale = MathF.ScaleB(1, block[0] - 127);
        var table = HalfFloats;
        for (var j = 0; j < 16; j++) (values[j], values[j + 16]) = (table[block[1 + j] & 15] * scale, table[block[1 + j] >> 4] * scale);
    }
}
