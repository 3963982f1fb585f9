using System.Runtime.InteropServices;
using Trainer.Numerics;
using Trainer.Numerics.Elementwise;

namespace Trainer.Ground.Tests.Numerics;

/// <summary>Every element-wise kernel once at a given width, as bytes.</summary>
internal static unsafe class ElementwiseRun
{
    private const int Rows = 5, N = 16 * 7 + 11, Head = 46, Half = 19;

    internal static byte[] Bytes(KernelWidth width)
    {
        var result = new MemoryStream();
        void Keep<T>(T[] values) where T : unmanaged => result.Write(MemoryMarshal.AsBytes(values.AsSpan()));
        float[] x = Values(1, Rows * N), w = Values(2, N), dy = Values(3, Rows * N), y = new float[Rows * N], dx = new float[Rows * N], r = new float[Rows];
        int[] positions = [3, 0, 1, 2, 4], targets = [0, 5, 122, 60, 16];
        var losses = new double[Rows];
        fixed (float* px = x, pw = w, pdy = dy, py = y, pdx = dx, pr = r)
        fixed (int* pp = positions, pt = targets)
        fixed (double* pl = losses)
        {
            RmsNorm.Forward(width, px, pw, py, pr, N, 1e-5f, 1f, 0, Rows);
            RmsNorm.Backward(width, px, pw, pr, pdy, py, pdx, N, 1f, 0, Rows);
            Keep(y);
            Keep(dx);
            RmsNorm.WeightGradient(width, px, pr, pdy, py, N, Rows, 3, N - 2);
            Keep(y);
            Arithmetic.AddScaled(width, px, pdy, 0.22f, py, 0, Rows * N);
            Arithmetic.AddProduct(width, py, px, pdy, pdx, 0, Rows * N);
            Keep(dx);
            Keep(new[] { Arithmetic.Dot(width, px, pdy, Rows * N) });
            Rotary.Turn(width, py, px, pdy, pp, 2 * Head, 2, Head, Half, false, true, 0, Rows);
            Keep(y);
            foreach (var gate in (Gate[])[Gate.Silu, Gate.GeluTanh])
            {
                for (var i = 0; i < x.Length; i++) x[i] *= 30f;
                GatedUnit.Forward(width, gate, px, pdy, py, 0, Rows * N);
                Keep(y);
                GatedUnit.Backward(width, gate, px, pdy, pw - 0, py, pdx, 0, N);
                Keep(y);
                Keep(dx);
            }
            SoleUnit.Forward(width, px, pdx, 0, Rows * N);
            Keep(dx);
            SoleUnit.Backward(width, px, pdy, pdx, 1, N);
            Keep(dx);
            for (var row = 0; row < Rows; row++)
            {
                var sum = SoftmaxRow.Forward(width, py + row * N, 3, N - row, N, out var most);
                SoftmaxRow.Backward(width, pdx + row * N, py + row * N, row, N - 5, N, most, sum, 0.125f);
                Keep(new[] { sum, most });
            }
            Keep(y);
            Keep(dx);
            SoftCap.Forward(width, py, pdx, Rows * N, 0.75f);
            Arithmetic.Product(width, pdx, py, py, 0, Rows * N);
            Keep(y);
            Keep(dx);
            CrossEntropy.Rows(width, px, N, pt, pr, pl, 0, Rows);
            Keep(x);
            Keep(losses);
        }
        return result.ToArray();
    }

    private static float[] Values(int seed, int count) => ElementwiseTests.Values(seed, count);
}
