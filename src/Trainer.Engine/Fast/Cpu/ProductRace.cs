using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Times bfloat16 products against float32's at a matrix's shape, in less than a second.</summary>
internal static unsafe class ProductRace
{
    private const double Operations = 4e9;
    private const long LeastRows = 512;
    // Kernels run in slow code until the runtime has compiled them anew in the background, a tenth of a second after the last new method at the earliest.
    private const double WarmUpSeconds = 0.5;
    private const double Seconds = 0.3;
    private const int LeastRounds = 3;

    /// <summary>How many times as fast bfloat16 is, both directions together: best of rounds in which the two take turns.</summary>
    /// <param name="tokens">Tokens of a micro-batch; more than 512 have the same rate.</param>
    /// <param name="rows">Rows of the matrix; a part of it stands for a large one.</param>
    /// <param name="columns">Columns of the matrix.</param>
    public static double Gain(long tokens, long rows, long columns)
    {
        tokens = Math.Clamp(tokens, 1, 512);
        rows = Math.Min(rows, Math.Max(LeastRows, (long)(Operations / 4 / tokens / columns)));
        using var weight = Weight(rows, columns);
        var panels = new PanelPlan();
        IFrozenProduct[] products = [CpuKernels.Exact(panels), new BFloat16Product(panels)];
        var matrix = MatrixShape.Of(weight);
        var threads = ComputeThreads.Count;
        List<PassBuffer> buffers = [.. CpuKernels.ExactBuffers(tokens, [matrix], threads), .. BFloat16Product.Buffers(tokens, [matrix], PanelPlan.Elements)];
        using var arena = new Arena(buffers.Sum(buffer => buffer.Bytes) + sizeof(float) * tokens * (columns + rows) + 2 * Arena.Alignment);
        var room = ProductRoom.Cut(arena, buffers, tokens, threads);
        var (x, y) = ((IntPtr)arena.Floats(tokens * columns), (IntPtr)arena.Floats(tokens * rows));
        new Span<float>((float*)x, checked((int)(tokens * columns))).Fill(0.5f);
        double[] best = [double.MaxValue, double.MaxValue];
        var begun = BenchClock.Now;
        for (var rounds = 0; rounds < LeastRounds || BenchClock.Since(begun) < WarmUpSeconds + Seconds;)
        {
            var counts = BenchClock.Since(begun) >= WarmUpSeconds;
            if (counts) rounds++;
            for (var i = 0; i < products.Length; i++)
            {
                var start = BenchClock.Now;
                products[i].Forward(room, weight, (float*)x, tokens, (float*)y, rows, 1f);
                products[i].InputGradient(room, weight, (float*)y, rows, tokens, (float*)x, false, 1e-3f);
                if (counts) best[i] = Math.Min(best[i], BenchClock.Since(start));
            }
        }
        return best[0] / best[1];
    }

    private static Nf4Weight Weight(long rows, long columns)
    {
        using var dense = new DenseWeight(TorchSharp.torch.full(rows, columns, 0.01f));
        return Nf4Weight.Quantize(dense, doubleQuantize: false);
    }
}
