using System.Globalization;
using TorchSharp;
using Trainer.Models.Fast;
using Trainer.Models.Native;
using Trainer.Numerics;
using Trainer.Numerics.Half;
using Trainer.Numerics.Int8;

namespace Trainer.Benchmarks;

/// <summary>The forward product in 8 bits and in bfloat16 beside fp32, at a model's shapes, with everything that narrow types need around it.</summary>
internal static unsafe class NarrowCommand
{
    private const long PanelFloats = 1 << 20;

    public static int Run(string[] args)
    {
        BenchClock.CpuTime = args.Contains("--cpu-time");
        if (Array.IndexOf(args, "--threads") is >= 0 and var at) torch.set_num_threads(int.Parse(args[at + 1], CultureInfo.InvariantCulture));
        Console.WriteLine($"threads {torch.get_num_threads()}  kernels {Kernels.Width}  {(BenchClock.CpuTime ? "CPU" : "wall")} time, ms, best of rounds that take turns");
        Console.WriteLine("x W^T: fp32 | 8 bits: W in fp32 panels / W kept in 8 bits / product alone | bfloat16: with conversions / product alone | relative RMS error 8 bits, bfloat16");
        foreach (var (tokens, wide, high) in new (long, long, long)[] { (512, 2048, 2048), (512, 2048, 8192), (512, 8192, 2048), (1024, 768, 2048), (1024, 2048, 768) }) Shape(tokens, wide, high);
        return 0;
    }

    private static void Shape(long tokens, long wide, long high)
    {
        var panelRows = Math.Min(high, Math.Max(512, PanelFloats / wide / 64 * 64));
        var weights = wide * high;
        using var arena = new Arena(16 * (tokens * (wide + high) + weights) + (64 << 20));
        float* x = arena.Floats(tokens * wide), w = arena.Floats(weights), exact = arena.Floats(tokens * high), y = arena.Floats(tokens * high), scales = arena.Floats(high);
        Fill(x, tokens * wide, 1);
        Fill(w, weights, 2);
        var codes = arena.Codes(weights);
        for (long r = 0; r < high; r++) scales[r] = Int8Rows.Quantize(w + r * wide, codes + r * wide, wide);
        ushort* xb = (ushort*)arena.Codes(2 * tokens * wide), wb = (ushort*)arena.Codes(2 * weights), yb = (ushort*)arena.Codes(2 * tokens * high);
        BFloat16Bits.FromFloat(w, wb, weights);
        BFloat16Bits.FromFloat(x, xb, tokens * wide);
        var narrow = new Int8Product(arena, tokens, wide, panelRows, panelRows * wide);
        var sums = arena.Ints(tokens * high);
        var narrowX = arena.Codes(tokens * wide);
        for (long r = 0; r < tokens; r++) Int8Rows.Quantize(x + r * wide, narrowX + r * wide, wide);

        void Panels(Action<long, long> body)
        {
            for (long begin = 0; begin < high; begin += panelRows) body(begin, Math.Min(panelRows, high - begin));
        }

        Action[] bodies =
        [
            () => Panels((begin, count) => Gemm.TimesTransposed(tokens, count, wide, 1f, x, wide, w + begin * wide, wide, 0f, exact + begin, high)),
            () =>
            {
                narrow.Input(x, tokens, wide);
                Panels((begin, count) => narrow.Panel(w + begin * wide, tokens, count, wide, 1f, y + begin, high));
            },
            () =>
            {
                narrow.Input(x, tokens, wide);
                Panels((begin, count) => narrow.Panel(codes + begin * wide, scales + begin, tokens, count, wide, 1f, y + begin, high));
            },
            () => NarrowGemm.Bytes(tokens, high, wide, narrowX, codes, sums),
            () =>
            {
                TorchThreads.For(0, tokens * wide, 1 << 14, (begin, end) => BFloat16Bits.FromFloat(x + begin, xb + begin, end - begin));
                TorchThreads.For(0, weights, 1 << 14, (begin, end) => BFloat16Bits.FromFloat(w + begin, wb + begin, end - begin));
                NarrowGemm.BFloat16(tokens, high, wide, xb, wb, yb);
                TorchThreads.For(0, tokens * high, 1 << 14, (begin, end) => BFloat16Bits.ToFloat(yb + begin, y + begin, end - begin));
            },
            () => NarrowGemm.BFloat16(tokens, high, wide, xb, wb, yb),
        ];
        var best = new double[bodies.Length];
        Array.Fill(best, double.MaxValue);
        double bytesError = 0, bfloatError = 0;
        for (var round = 0; round < 8; round++)
            for (var i = 0; i < bodies.Length; i++)
            {
                var start = BenchClock.Now;
                bodies[i]();
                var seconds = BenchClock.Since(start);
                if (round > 0) best[i] = Math.Min(best[i], seconds);
                if (i == 1) bytesError = Error(exact, y, tokens * high);
                if (i == 4) bfloatError = Error(exact, y, tokens * high);
            }
        string Cell(int i) => $"{best[i] * 1e3,7:0.0} ({best[0] / best[i]:0.00}x)";
        Console.WriteLine($"{tokens} x {wide} x {high}: {best[0] * 1e3,7:0.0} ({2e-9 * tokens * weights / best[0]:0} GFLOP/s) | {Cell(1)} {Cell(2)} {Cell(3)} | {Cell(4)} {Cell(5)} | {bytesError:0.0000} {bfloatError:0.0000}");
    }

    private static double Error(float* exact, float* y, long count)
    {
        double error = 0, all = 0;
        for (long i = 0; i < count; i++)
        {
            error += Math.Pow(y[i] - exact[i], 2);
            all += Math.Pow(exact[i], 2);
        }
        return Math.Sqrt(error / all);
    }

    // Near normal: the sum of four uniform values.
    private static void Fill(float* values, long count, uint seed)
    {
        for (long i = 0; i < count; i++)
        {
            var sum = 0f;
            for (var j = 0; j < 4; j++)
            {
                seed = seed * 1664525 + 1013904223;
                sum += (seed >> 8) * (1f / (1 << 24)) - 0.5f;
            }
            values[i] = sum;
        }
    }
}
