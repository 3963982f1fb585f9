using System.Buffers.Binary;
using Trainer.Checkpoints.Gguf;
using Trainer.Engine.Weights.Stored;

namespace Trainer.Engine.Tests.Models;

/// <summary>Blocks of GGUF types against their published formulas, element by element, to the bit.</summary>
[Trait("ring", "model")]
public class GgufDecoderTests
{
    public static TheoryData<GgufTensorType> Types => [.. GgufDecoder.Types];

    [Theory, MemberData(nameof(Types))]
    public unsafe void A_block_has_the_values_of_its_formula(GgufTensorType type)
    {
        var (elements, bytes) = type.Block()!.Value;
        var random = new Random((int)type);
        var block = new byte[bytes];
        var values = new float[elements];
        for (var trial = 0; trial < 50; trial++)
        {
            random.NextBytes(block);
            foreach (var at in Halves(type)) BinaryPrimitives.WriteHalfLittleEndian(block.AsSpan(at), (System.Half)((random.NextDouble() - 0.5) * 0.1));
            if (type == GgufTensorType.MXFP4) block[0] = (byte)random.Next(100, 140);
            fixed (byte* from = block)
            fixed (float* to = values)
            {
                Assert.True(GgufDecoder.IsFinite(type, from));
                GgufDecoder.Decode(type, from, to);
            }
            for (var i = 0; i < elements; i++) Assert.Equal(BitConverter.SingleToInt32Bits(Formula(type, block, i)), BitConverter.SingleToInt32Bits(values[i]));
        }
        foreach (var at in Halves(type))
        {
            BinaryPrimitives.WriteUInt16LittleEndian(block.AsSpan(at), 0x7c00);
            fixed (byte* from = block) Assert.False(GgufDecoder.IsFinite(type, from));
            BinaryPrimitives.WriteUInt16LittleEndian(block.AsSpan(at), 0);
        }
    }

    [Fact]
    public unsafe void Known_blocks_have_known_values()
    {
        // Q4_0 with d = 1: nibbles minus eight; MXFP4 with exponent 127: the table itself.
        var q4 = new byte[18];
        BinaryPrimitives.WriteHalfLittleEndian(q4, (System.Half)1f);
        for (var j = 0; j < 16; j++) q4[2 + j] = (byte)(j | (15 - j) << 4);
        var mx = new byte[17];
        mx[0] = 127;
        for (var j = 0; j < 16; j++) mx[1 + j] = q4[2 + j];
        var values = new float[32];
        fixed (byte* from = q4) fixed (float* to = values) GgufDecoder.Decode(GgufTensorType.Q4_0, from, to);
        Assert.Equal([.. Enumerable.Range(0, 16).Select(j => (float)(j - 8)), .. Enumerable.Range(0, 16).Select(j => (float)(7 - j))], values);
        fixed (byte* from = mx) fixed (float* to = values) GgufDecoder.Decode(GgufTensorType.MXFP4, from, to);
        Assert.Equal([0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6], values[..16]);
    }

    private static readonly int[] Uneven = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    private static int[] Halves(GgufTensorType type) => type switch
    {
        GgufTensorType.Q2_K => [80, 82],
        GgufTensorType.Q3_K => [108],
        GgufTensorType.Q6_K => [208],
        GgufTensorType.MXFP4 => [],
        GgufTensorType.Q4_1 or GgufTensorType.Q5_1 or GgufTensorType.Q4_K or GgufTensorType.Q5_K => [0, 2],
        _ => [0],
    };

    // Element i of a block, from where its bits lie.
    private static float Formula(GgufTensorType type, byte[] b, int i)
    {
        float Half(int at) => (float)BinaryPrimitives.ReadHalfLittleEndian(b.AsSpan(at));
        int Nibble(int start) => i % 32 < 16 ? b[start + i % 16] & 15 : b[start + i % 16] >> 4;
        switch (type)
        {
            case GgufTensorType.Q4_0: return (Nibble(2) - 8) * Half(0);
            case GgufTensorType.Q4_1: return Nibble(4) * Half(0) + Half(2);
            case GgufTensorType.Q5_0: return ((Nibble(6) | (b[2 + i / 8] >> (i % 8) & 1) << 4) - 16) * Half(0);
            case GgufTensorType.Q5_1: return (Nibble(8) | (b[4 + i / 8] >> (i % 8) & 1) << 4) * Half(0) + Half(2);
            case GgufTensorType.Q8_0: return (sbyte)b[2 + i] * Half(0);
            case GgufTensorType.MXFP4:
                float[] table = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6];
                var code = Nibble(1);
                return (float)((code > 7 ? -1 : 1) * Math.Pow(2, b[0] - 127)) * table[code & 7];
            case GgufTensorType.Q2_K:
                int group = i / 16, two = b[16 + i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3;
                return Half(80) * (b[group] & 15) * two - Half(82) * (b[group] >> 4);
            case GgufTensorType.Q3_K:
                int run = i / 16, bits = b[32 + i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3, third = b[i % 32] >> (i / 32) & 1;
                var packed = run < 8 ? b[96 + run] & 15 : b[96 + run - 8] >> 4;
                packed |= (b[104 + run % 4] >> (2 * (run / 4)) & 3) << 4;
                return Half(108) * (packed - 32) * (bits + 4 * third - 4);
            case GgufTensorType.IQ4_NL: return Half(0) * Uneven[Nibble(2)];
            case GgufTensorType.IQ4_XS:
                int block = i / 32, six = (b[4 + block / 2] >> (block % 2 * 4) & 15) | ((b[2] | b[3] << 8) >> (2 * block) & 3) << 4;
                return Half(0) * (six - 32) * Uneven[Nibble(8 + 16 * block)];
            case GgufTensorType.Q6_K:
                int within = i % 128, quarter = within / 32, lane = within % 32, half = i / 128;
                var low = b[64 * half + lane + 32 * (quarter % 2)] >> (quarter / 2 * 4) & 15;
                var q = low | (b[128 + 32 * half + lane] >> (2 * quarter) & 3) << 4;
                return Half(208) * (sbyte)b[192 + i / 16] * (q - 32);
            default:
                var sub = i / 32;
                var scale = sub < 4 ? b[4 + sub] & 63 : b[8 + sub] & 15 | b[sub] >> 6 << 4;
                var least = sub < 4 ? b[8 + sub] & 63 : b[8 + sub] >> 4 | b[4 + sub] >> 6 << 4;
                var codes = type == GgufTensorType.Q4_K ? 16 : 48;
                var value = b[codes + i / 64 * 32 + i % 32] >> (sub % 2 * 4) & 15;
                if (type == GgufTensorType.Q5_K) value += 16 * (b[16 + i % 32] >> sub & 1);
                return Half(0) * scale * value - Half(2) * least;
        }
    }
}
