using System.Runtime.CompilerServices;
using Trainer.Numerics.Dot;
using Trainer.Numerics.Half;
using Trainer.Numerics.Nf4;
using Trainer.Numerics.Optimizer;
using Trainer.Numerics.Products;

namespace Trainer.Numerics;

/// <summary>Compares a width's kernels with the scalar specification on fixed values; takes well under a millisecond.</summary>
internal static unsafe class SelfCheck
{
    private const int Count = 64 * 9 + 37;

    // The kernels ask Kernels for their width, so the check hands itself over instead of being called by name.
#pragma warning disable CA2255 // A library's initializer: it stores one delegate.
    [ModuleInitializer]
#pragma warning restore CA2255
    internal static void HandOver() => Kernels.Agrees = Agrees;

    internal static bool Agrees(KernelWidth width)
    {
        var expected = Run(KernelWidth.Scalar);
        return expected.AsSpan().SequenceEqual(Run(width));
    }

    /// <summary>The bytes that every kernel produced, one after the other.</summary>
    internal static byte[] Run(KernelWidth width)
    {
        var result = new MemoryStream();
        var input = Values(1);
        var packed = new byte[Nf4Codebook.PackedBytes(Count)];
        var absmax = new float[Nf4Codebook.Blocks(Count)];
        var output = new float[Count];
        var bits = new ushort[Count];
        float[] p = Values(2), g = Values(3), m = Values(4), v = Values(5);
        for (var i = 0; i < Count; i++) v[i] = Math.Abs(v[i]);
        double norm;
        fixed (float* pInput = input, pAbsmax = absmax, pOutput = output, pP = p, pG = g, pM = m, pV = v)
        fixed (byte* pPacked = packed)
        fixed (ushort* pBits = bits)
        {
            Nf4Quantizer.Quantize(width, pInput, pPacked, pAbsmax, 0, Count);
            var source = Nf4Source.Plain(pPacked, pAbsmax, Count);
            Nf4Dequantizer.ToFloat(width, source, pOutput, 0, Count);
            Write(result, packed, absmax, output, bits);
            Nf4Dequantizer.ToBFloat16(width, source, pBits, 0, Count);
            Write(result, packed, absmax, output, bits);
            BFloat16Bits.FromFloat(width, pInput, pBits, Count);
            BFloat16Bits.ToFloat(width, pBits, pOutput, Count);
            Write(result, packed, absmax, output, bits);
            Float16Bits.ToFloat(width, pBits, pOutput, 200);
            Write(result, packed, absmax, output, bits);
            FlatAdamW.Step(width, pP, pG, pM, pV, 3, Count, new AdamWStep(1e-3, 0.9, 0.999, 1e-8, 0.1, 0.5, 3));
            TileProduct.Run(width, pInput, pG, Count / TileProduct.Columns, pOutput, TileProduct.Columns + 5, add: true);
            Write(result, packed, absmax, output, bits);
            norm = FlatAdamW.SquaredNorm(width, pG, Count);
            Products(width, source, pInput, pAbsmax, pBits, pOutput);
        }
        Write(result, packed, output, m, bits);
        Write(result, packed, p, m, bits);
        Write(result, packed, v, g, bits);
        result.Write(BitConverter.GetBytes(norm));
        return result.ToArray();
    }

    // Three rows of 192 columns, the two rows of x one value apart.
    private static void Products(KernelWidth width, in Nf4Source source, float* x, float* scales, ushort* bits, float* y)
    {
        Nf4Dot.Run(width, source, 192, x + 1, 2, y, 3, 0, 3);
        DenseDot.Run<FloatElements>(width, (byte*)x, null, 191, 191, x + 2, 2, y + 6, 3, 0, 3);
        DenseDot.Run<BFloat16Elements>(width, (byte*)bits, null, 191, 191, x + 2, 2, y + 12, 3, 0, 3);
        DenseDot.Run<Int8Elements>(width, (byte*)bits, scales, 191, 191, x + 2, 2, y + 18, 3, 0, 3);
        RowSum.Run(width, x, 97, x + 300, 3, y + 24, 91);
    }

    private static float[] Values(uint seed)
    {
        var values = new float[Count];
        var state = seed * 2654435761u + 1;
        for (var i = 0; i < Count; i++)
        {
            state = state * 1664525u + 1013904223u;
            values[i] = ((int)state / 2147483648f) * (i % 7 == 0 ? 1e-3f : 1f);
        }
        // A block of zeros, a block of one spike.
        Array.Clear(values, 64, 64);
        Array.Clear(values, 128, 63);
        return values;
    }

    private static void Write(MemoryStream stream, byte[] packed, float[] a, float[] b, ushort[] bits)
    {
        stream.Write(packed);
        stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(a.AsSpan()));
        stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(b.AsSpan()));
        stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(bits.AsSpan()));
    }
}
