using System.Globalization;
using TorchSharp;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;

namespace Trainer.Benchmarks;

/// <summary>Products with a 4-bit matrix, both directions: our tiles beside the BLAS over panels written out to fp32, and beside the BLAS alone on a whole fp32
/// matrix.</summary>
internal static unsafe class ProductsCommand
{
    private const long PanelFloats = 1 << 20;

    public static int Run(string[] args)
    {
        BenchClock.CpuTime = args.Contains("--cpu-time");
        if (Array.IndexOf(args, "--threads") is >= 0 and var at) torch.set_num_threads(int.Parse(args[at + 1], CultureInfo.InvariantCulture));
        if (args.Contains("--few")) return RunFew();
        Console.WriteLine($"threads {torch.get_num_threads()}; GFLOP/s, best of rounds that take turns: tiles from NF4 | BLAS from NF4 by panels | BLAS "
            + "alone, fp32 matrix");
        foreach (var (tokens, wide, high) in new (long, long, long)[]
        {
            (1024, 768, 768), (1024, 768, 2048), (1024, 2048, 768), (512, 2048, 512), (512, 2048, 2048), (512, 2048, 8192), (512, 8192, 2048), (64, 8192, 8192),
            (64, 4096, 14336), (16, 4096, 4096),
        }) Shape(tokens, wide, high);
        return 0;
    }

    private static int RunFew()
    {
        Console.WriteLine("few rows, GFLOP/s: tiles from NF4 | codes looked up in registers | bfloat16 by tiles | bfloat16 row by row");
        foreach (var tokens in new long[] { 1, 4, 6, 8, 16 })
            foreach (var (wide, high) in new (long, long)[] { (2048, 2048), (2048, 8192), (8192, 2048) }) Few(tokens, wide, high);
        return 0;
    }

    private static void Few(long tokens, long wide, long high)
    {
        using var matrix = new DenseWeight(torch.randn(high, wide));
        using var weight = Nf4Weight.Quantize(matrix, true);
        using var half = new DenseWeight(matrix.Stored.to(torch.ScalarType.BFloat16));
        using var arena = new Arena(4 * (2 * tokens * (wide + high) + tokens * 512) + (8L << 20));
        float* x = arena.Floats(tokens * wide), y = arena.Floats(tokens * high);
        for (long i = 0; i < tokens * wide; i++) x[i] = i % 13 * 0.1f - 0.6f;
        var tiles = new TiledProduct(new PanelPlan());
        var room = ProductRoom.Cut(arena, TiledProduct.Buffers(tokens, torch.get_num_threads()), tokens, torch.get_num_threads());
        Report($"{tokens} x {wide} x {high}", 2.0 * tokens * wide * high, () => tiles.Forward(room, weight, x, tokens, y, high, 1f),
            () => FewRows.Product(weight, x, tokens, y, high),
            () => tiles.Forward(room, half, x, tokens, y, high, 1f), () => FewRows.Product(half, x, tokens, y, high));
    }

    private static void Shape(long tokens, long wide, long high)
    {
        var panelRows = Math.Min(high, Math.Max(512, PanelFloats / wide / 64 * 64));
        using var matrix = new DenseWeight(torch.randn(high, wide));
        using var weight = Nf4Weight.Quantize(matrix, true);
        using var arena = new Arena(4 * (2 * tokens * (wide + high) + panelRows * wide + tokens * 512) + (8L << 20));
        float* x = arena.Floats(tokens * wide), y = arena.Floats(tokens * high), panel = arena.Floats(panelRows * wide), w = TorchMemory.Pointer(matrix.Stored);
        for (long i = 0; i < tokens * wide; i++) x[i] = i % 13 * 0.1f - 0.6f;
        for (long i = 0; i < tokens * high; i++) y[i] = i % 11 * 0.1f - 0.5f;
        var tiles = new TiledProduct(new PanelPlan());
        var room = ProductRoom.Cut(arena, TiledProduct.Buffers(tokens, torch.get_num_threads()), tokens, torch.get_num_threads());

        void Panels(Action<long, long> body)
        {
            for (long begin = 0; begin < high; begin += panelRows)
            {
                weight.Materialize(begin, Math.Min(panelRows, high - begin), panel);
                body(begin, Math.Min(panelRows, high - begin));
            }
        }

        Report($"{tokens} x {wide} x {high} forward ", 2.0 * tokens * wide * high,
            () => tiles.Forward(room, weight, x, tokens, y, high, 1f),
            () => Panels((begin, count) => Gemm.TimesTransposed(tokens, count, wide, 1f, x, wide, panel, wide, 0f, y + begin, high)),
            () => Gemm.TimesTransposed(tokens, high, wide, 1f, x, wide, w, wide, 0f, y, high));
        Report($"{tokens} x {wide} x {high} backward", 2.0 * tokens * wide * high,
            () => tiles.InputGradient(room, weight, y, high, tokens, x, false, 1f),
            () => Panels((begin, count) => Gemm.Times(tokens, wide, count, 1f, y + begin, high, panel, wide, begin > 0 ? 1f : 0f, x, wide)),
            () => Gemm.Times(tokens, wide, high, 1f, y, high, w, wide, 0f, x, wide));
    }

    private static void Report(string name, double operations, params Action[] bodies)
    {
        var best = new double[bodies.Length];
        Array.Fill(best, double.MaxValue);
        for (var round = 0; round < 8; round++)
            for (var i = 0; i < bodies.Length; i++)
            {
                var start = BenchClock.Now;
                bodies[i]();
                if (round > 0) best[i] = Math.Min(best[i], BenchClock.Since(start));
            }
        Console.WriteLine($"{name}: {string.Join(" | ", best.Select(seconds => (operations / seconds / 1e9).ToString("0", CultureInfo.InvariantCulture)))}");
    }
}
