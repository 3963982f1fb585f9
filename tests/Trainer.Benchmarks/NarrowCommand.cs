using System.Globalization;
using TorchSharp;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics;

namespace Trainer.Benchmarks;

/// <summary>Frozen products over a 4-bit matrix in each compute type, in both directions, with everything that a type needs around its product.</summary>
internal static unsafe class NarrowCommand
{
    private static readonly string[] Names = ["float32", "bfloat16", "int8"];

    public static int Run(string[] args)
    {
        BenchClock.CpuTime = args.Contains("--cpu-time");
        if (Array.IndexOf(args, "--threads") is >= 0 and var at) torch.set_num_threads(int.Parse(args[at + 1], CultureInfo.InvariantCulture));
        Console.WriteLine($"threads {torch.get_num_threads()}  kernels {Kernels.Width}  {(BenchClock.CpuTime ? "CPU" : "wall")} time, best of rounds that "
            + "take turns; relative RMS error against float32 on the same 4-bit matrix");
        foreach (var (tokens, wide, high) in new (long, long, long)[] { (64, 2048, 2048), (512, 2048, 2048), (512, 2048, 8192), (512, 8192, 2048),
            (1024, 768, 2048), (1024, 2048, 768) })
        {
            Shape(tokens, wide, high, forward: true);
            Shape(tokens, wide, high, forward: false);
        }
        return 0;
    }

    private static void Shape(long tokens, long wide, long high, bool forward)
    {
        using var weight = Weight(high, wide);
        var (from, to) = forward ? (wide, high) : (high, wide);
        using var arena = new Arena(64 * tokens * (wide + high) + (256 << 20));
        IFrozenProduct[] products = [new BlasProduct(new PanelPlan()), new BFloat16Product(new PanelPlan()), new Int8Product(new PanelPlan())];
        MatrixShape[] shapes = [MatrixShape.Of(weight)];
        PassBuffer[] buffers = [.. BlasProduct.Buffers(tokens, shapes, PanelPlan.Elements), .. BFloat16Product.Buffers(tokens, shapes, PanelPlan.Elements),
            .. Int8Product.Buffers(tokens, shapes, PanelPlan.Elements)];
        var room = ProductRoom.Cut(arena, buffers, tokens, torch.get_num_threads());
        var x = arena.Floats(tokens * from);
        float*[] results = [arena.Floats(tokens * to), arena.Floats(tokens * to), arena.Floats(tokens * to)];
        Fill(x, tokens * from, 1);
        double[] best = [double.MaxValue, double.MaxValue, double.MaxValue];
        for (var round = 0; round < 6; round++)
            for (var i = 0; i < products.Length; i++)
            {
                var start = BenchClock.Now;
                if (forward) products[i].Forward(room, weight, x, tokens, results[i], high, 1f);
                else products[i].InputGradient(room, weight, x, high, tokens, results[i], false, 1f);
                if (round > 0) best[i] = Math.Min(best[i], BenchClock.Since(start));
            }
        var cells = Enumerable.Range(0, 3).Select(
            i => $"{Names[i]} {best[i] * 1e3:0.0} ms {2e-9 * tokens * wide * high / best[i]:0} GFLOP/s "
                + $"({best[0] / best[i]:0.00}x, error {Error(results[0], results[i], tokens * to):0.0000})");
        Console.WriteLine($"{tokens} x {wide} x {high} {(forward ? "x W^T" : "dy W ")}: {string.Join(" | ", cells)}");
    }

    private static Nf4Weight Weight(long rows, long columns)
    {
        using var dense = new DenseWeight(torch.empty(rows, columns));
        Fill(TorchMemory.Pointer(dense.Stored), rows * columns, 2);
        return Nf4Weight.Quantize(dense, doubleQuantize: true);
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
