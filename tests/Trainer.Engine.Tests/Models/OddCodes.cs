using System.Runtime.InteropServices;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Engine.Tests.Models;

/// <summary>Random codes of a matrix as other tools pack them, and the values that those tools make of them, worked out from the codes before
/// packing.</summary>
/// <param name="variant">The folder that takes the tensors.</param>
/// <param name="path">Path of the linear.</param>
/// <param name="rows">Output features.</param>
/// <param name="columns">Input features.</param>
/// <param name="random">Where codes come from.</param>
internal sealed class OddCodes(FolderVariant variant, string path, int rows, int columns, Random random)
{
    /// <summary>GPTQ: the loops of AutoGPTQ's pack, the values of its forward pass.</summary>
    public float[] Gptq(int bits, int group, bool isSecondFormat, bool isSorted)
    {
        var size = group < 0 ? columns : group;
        var groups = (columns + size - 1) / size;
        var (scales, zeros, of) = (Halves(groups * rows), Codes(groups * rows, isSecondFormat ? 0 : 1, 1 << bits), new int[columns]);
        for (var i = 0; i < columns; i++) of[i] = i / size;
        if (isSorted) random.Shuffle(of);
        var (codes, values) = (Codes(columns * rows, 0, 1 << bits), new float[rows * columns]);
        for (var i = 0; i < columns; i++)
            for (var o = 0; o < rows; o++)
                values[o * columns + i] = (float)(Half)((float)scales[of[i] * rows + o] * (codes[i * rows + o] - zeros[of[i] * rows + o]));
        var words = new uint[columns * bits / 32 * rows];
        for (var o = 0; o < rows; o++)
            foreach (var (word, value) in Stream([.. Enumerable.Range(0, columns).Select(i => codes[i * rows + o])], bits)) words[word * rows + o] |= value;
        var (packed, width) = (new uint[groups * rows * bits / 32], rows * bits / 32);
        for (var g = 0; g < groups; g++)
            foreach (var (word, value) in Stream([.. zeros[(g * rows)..((g + 1) * rows)].Select(zero => isSecondFormat ? zero : zero - 1)], bits))
                packed[g * width + word] |= value;
        Put("qweight", SafetensorsDtype.I32, [columns * bits / 32, rows], words);
        Put("qzeros", SafetensorsDtype.I32, [groups, width], packed);
        Put("scales", SafetensorsDtype.F16, [groups, rows], scales);
        Put("g_idx", SafetensorsDtype.I32, [columns], of);
        return values;
    }

    /// <summary>AWQ's gemv layout: the loops of its from_linear.</summary>
    public float[] AwqGemv(int group)
    {
        var groups = columns / group;
        // calculate_zeros_width: whole words, and a multiple of two of them for groups of 64, of four for 32.
        var (words, several) = ((groups + 7) / 8, group >= 128 ? 1 : group == 64 ? 2 : 4);
        var width = (words + several - 1) / several * several;
        var (scales, zeros, codes) = (Halves(rows * groups), Codes(rows * groups, 0, 16), Codes(rows * columns, 0, 16));
        var (packed, packedZeros, padded) = (new uint[rows * columns / 8], new uint[rows * width], new Half[rows * width * 8]);
        var values = new float[rows * columns];
        for (var o = 0; o < rows; o++)
        {
            for (var i = 0; i < columns; i++)
            {
                packed[o * columns / 8 + i / 8] |= (uint)codes[o * columns + i] << (i % 8 * 4);
                var at = o * groups + i / group;
                values[o * columns + i] = (float)(Half)((codes[o * columns + i] - zeros[at]) * (float)scales[at]);
            }
            for (var g = 0; g < groups; g++)
            {
                packedZeros[o * width + g / 8] |= (uint)zeros[o * groups + g] << (g % 8 * 4);
                padded[o * width * 8 + g] = scales[o * groups + g];
            }
        }
        Put("qweight", SafetensorsDtype.I32, [rows, columns / 8], packed);
        Put("qzeros", SafetensorsDtype.I32, [rows, width], packedZeros);
        Put("scales", SafetensorsDtype.F16, [rows, width * 8], padded);
        return values;
    }

    /// <summary>compressed-tensors' integers: group 0 is a scale a row, -1 one for the matrix.</summary>
    public float[] Integers(int bits, int group, bool isPacked, bool hasZeros, bool isSorted)
    {
        var (size, half) = (group <= 0 ? columns : group, 1 << (bits - 1));
        var groups = (columns + size - 1) / size;
        var count = group < 0 ? 1 : rows * groups;
        var (scales, zeros, codes) = (Brains(count), hasZeros ? Codes(count, -half, half) : new int[count], Codes(rows * columns, -half, half));
        var (of, values) = (Enumerable.Range(0, columns).Select(i => i / size).ToArray(), new float[rows * columns]);
        if (isSorted) random.Shuffle(of);
        for (var o = 0; o < rows; o++)
        {
            for (var i = 0; i < columns; i++)
            {
                var at = group < 0 ? 0 : o * groups + of[i];
                values[o * columns + i] = Brain((codes[o * columns + i] - zeros[at]) * scales[at]);
            }
        }
        long[] sides = group < 0 ? [1] : [rows, groups];
        Put("weight_scale", SafetensorsDtype.BF16, sides, [.. scales.Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))]);
        if (!isPacked)
        {
            Put("weight", SafetensorsDtype.I8, [rows, columns], [.. codes.Select(code => (sbyte)code)]);
            if (hasZeros) Put("weight_zero_point", SafetensorsDtype.I8, sides, [.. zeros.Select(zero => (sbyte)zero)]);
            return values;
        }
        int each = 32 / bits, width = (columns + each - 1) / each, high = (rows + each - 1) / each;
        var (words, zeroWords) = (new uint[rows * width], new uint[high * groups]);
        for (var o = 0; o < rows; o++)
        {
            for (var i = 0; i < columns; i++) words[o * width + i / each] |= (uint)(codes[o * columns + i] + half) << (i % each * bits);
            for (var g = 0; hasZeros && g < groups; g++) zeroWords[o / each * groups + g] |= (uint)(zeros[o * groups + g] + half) << (o % each * bits);
        }
        Put("weight_packed", SafetensorsDtype.I32, [rows, width], words);
        Put("weight_shape", SafetensorsDtype.I64, [2], new long[] { rows, columns });
        if (hasZeros) Put("weight_zero_point", SafetensorsDtype.I32, [high, groups], zeroWords);
        if (isSorted) Put("weight_g_idx", SafetensorsDtype.I32, [columns], of);
        return values;
    }

    /// <summary>8-bit floats with a grid of scales of a type.</summary>
    public float[] Floats(string scale, SafetensorsDtype type, long[] sides, int blockRows, int blockColumns)
    {
        var (codes, gridColumns) = (new byte[rows * columns], (columns + blockColumns - 1) / blockColumns);
        var count = (int)sides.Aggregate(1L, (product, side) => product * side);
        var scales = type == SafetensorsDtype.F8E8M0 ? Codes(count, -6, 3).Select(power => MathF.Pow(2, power)).ToArray() : Brains(count);
        var values = new float[codes.Length];
        for (var o = 0; o < rows; o++)
        {
            for (var i = 0; i < columns; i++)
            {
                do codes[o * columns + i] = (byte)random.Next(256); while ((codes[o * columns + i] & 127) == 127);
                var product = EightBits(codes[o * columns + i]) * scales[o / blockRows * gridColumns + i / blockColumns];
                values[o * columns + i] = type == SafetensorsDtype.BF16 ? Brain(product) : product;
            }
        }
        Put("weight", SafetensorsDtype.F8E4M3, [rows, columns], codes);
        if (type == SafetensorsDtype.F8E8M0) Put(scale, type, sides, [.. scales.Select(value => (byte)(MathF.Log2(value) + 127))]);
        else if (type == SafetensorsDtype.BF16) Put(scale, type, sides, [.. scales.Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))]);
        else Put(scale, type, sides, scales);
        return values;
    }

    /// <summary>bitsandbytes' 8-bit integers.</summary>
    public float[] BnbInt8()
    {
        var (codes, largest) = (Codes(rows * columns, -127, 128), new float[rows]);
        for (var o = 0; o < rows; o++) largest[o] = random.NextSingle();
        Put("weight", SafetensorsDtype.I8, [rows, columns], [.. codes.Select(code => (sbyte)code)]);
        Put("SCB", SafetensorsDtype.F32, [rows], largest);
        Put("weight_format", SafetensorsDtype.U8, [], new byte[1]);
        return [.. codes.Select((code, at) =>
        {
            var scaled = code * largest[at / columns];
            return scaled * (float)7.874015718698502e-3;
        })];
    }

    /// <summary>bitsandbytes' 4-bit floats.</summary>
    public float[] BnbFp4(int block, bool isNested)
    {
        float[] table = [0, 0.0052083333f, 0.6666667f, 1, 0.33333334f, 0.5f, 0.16666667f, 0.25f, -0f, -0.0052083333f, -0.6666667f, -1, -0.33333334f, -0.5f,
            -0.16666667f, -0.25f];
        var (codes, blocks) = (Codes(rows * columns, 0, 16), (rows * columns + block - 1) / block);
        var absmax = new float[blocks];
        var nestedState = "";
        if (isNested)
        {
            var (small, map, nested) = (Codes(blocks, 0, 256), new float[256], new float[(blocks + 255) / 256]);
            for (var i = 0; i < 256; i++) map[i] = (i - 128) / 130f;
            for (var i = 0; i < nested.Length; i++) nested[i] = 0.01f + random.NextSingle() / 50;
            const float Offset = 0.03125f;
            for (var i = 0; i < blocks; i++)
            {
                var product = map[small[i]] * nested[i / 256];
                absmax[i] = product + Offset;
            }
            Put("weight.absmax", SafetensorsDtype.U8, [blocks], [.. small.Select(code => (byte)code)]);
            Put("weight.nested_absmax", SafetensorsDtype.F32, [nested.Length], nested);
            Put("weight.nested_quant_map", SafetensorsDtype.F32, [256], map);
            nestedState = ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": 0.03125";
        }
        else
        {
            for (var i = 0; i < blocks; i++) absmax[i] = random.NextSingle() / 20;
            Put("weight.absmax", SafetensorsDtype.F32, [blocks], absmax);
        }
        var packed = new byte[codes.Length / 2];
        for (var i = 0; i < codes.Length; i++) packed[i / 2] |= (byte)(codes[i] << (i % 2 == 0 ? 4 : 0));
        var state = $"{{\"quant_type\": \"fp4\", \"blocksize\": {block}, \"dtype\": \"bfloat16\", \"shape\": [{rows}, {columns}]{nestedState}}}";
        Put("weight", SafetensorsDtype.U8, [packed.Length, 1], packed);
        Put("weight.quant_map", SafetensorsDtype.F32, [16], table);
        Put("weight.quant_state.bitsandbytes__fp4", SafetensorsDtype.U8, [state.Length], System.Text.Encoding.ASCII.GetBytes(state));
        return [.. codes.Select((code, at) => table[code] * absmax[at / block])];
    }

    // Of 2, 4 and 8 bits as many codes as fit lie in a word; of 3 bits 32 lie in three words, as AutoGPTQ writes them out.
    private static IEnumerable<(int Word, uint Value)> Stream(int[] codes, int bits)
    {
        if (bits != 3)
        {
            for (var i = 0; i < codes.Length; i++) yield return (i / (32 / bits), (uint)codes[i] << (i % (32 / bits) * bits));
            yield break;
        }
        for (int i = 0, word = 0; i < codes.Length; i += 32, word += 3)
        {
            for (var j = 0; j < 10; j++) yield return (word, (uint)codes[i + j] << (3 * j));
            yield return (word, (uint)codes[i + 10] << 30);
            yield return (word + 1, (uint)codes[i + 10] >> 2 & 1);
            for (var j = 0; j < 10; j++) yield return (word + 1, (uint)codes[i + 11 + j] << (3 * j + 1));
            yield return (word + 1, (uint)codes[i + 21] << 31);
            yield return (word + 2, (uint)codes[i + 21] >> 1 & 3);
            for (var j = 0; j < 10; j++) yield return (word + 2, (uint)codes[i + 22 + j] << (3 * j + 2));
        }
    }

    // E4M3 by its definition: 1 sign, 4 exponent (bias 7), 3 mantissa.
    private static float EightBits(byte code)
    {
        var (exponent, mantissa) = (code >> 3 & 15, code & 7);
        var size = exponent == 0 ? mantissa / 8.0 * Math.Pow(2, -6) : (1 + mantissa / 8.0) * Math.Pow(2, exponent - 7);
        return (float)(code >= 128 ? -size : size);
    }

    // To the nearest bfloat16, ties to even.
    private static float Brain(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle(bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF_0000);
    }

    private int[] Codes(int count, int least, int end) => [.. Enumerable.Range(0, count).Select(_ => random.Next(least, end))];

    private Half[] Halves(int count) => [.. Enumerable.Range(0, count).Select(_ => (Half)(0.005f + random.NextSingle() / 40))];

    private float[] Brains(int count) => [.. Enumerable.Range(0, count).Select(_ => Brain(0.005f + random.NextSingle() / 40))];

    private void Put<T>(string part, SafetensorsDtype dtype, long[] shape, T[] values)
        where T : unmanaged
        => variant.Put($"{path}.{part}", dtype, shape, MemoryMarshal.AsBytes<T>(values).ToArray());
}
