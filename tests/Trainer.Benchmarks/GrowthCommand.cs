using System.Globalization;
using TorchSharp;
using Trainer.Engine.Fast.Bench;

namespace Trainer.Benchmarks;

/// <summary>How a step's time and memory grow with tokens, layers and steps, on small random models.</summary>
internal static class GrowthCommand
{
    private const int Layers = 4;
    private const int Tokens = 256;
    private static readonly ModelShape Small = new("growth", 512, Layers, 8, 4, 64, 1408, 4096, false);

    public static int Run(string[] args)
    {
        string Value(string name, string otherwise) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : otherwise;
        if (int.Parse(Value("--threads", "0"), CultureInfo.InvariantCulture) is > 0 and var threads) torch.set_num_threads(threads);
        BenchClock.CpuTime = args.Contains("--cpu-time");
        var stream = args.Contains("--stream");
        var root = Directory.CreateTempSubdirectory("trainer-growth-").FullName;
        try
        {
            BenchReport Step(int layers, int tokens, int steps)
            {
                var folder = Path.Combine(root, layers.ToString(CultureInfo.InvariantCulture));
                if (!Directory.Exists(folder)) RandomModelFolder.Write(Directory.CreateDirectory(folder).FullName, Small with { Layers = layers }, 1);
                return StepBench.Run(new BenchOptions { Folder = folder, Sequence = tokens, Rank = 16, Steps = steps, Stream = stream });
            }
            Step(Layers, Tokens, 3); // the first model of a process pays for the machinery
            Times("tokens", [128, 256, 512, 1024, 2048], tokens => Step(Layers, tokens, 5));
            Times("layers", [2, 4, 8, 16], layers => Step(layers, Tokens, 8));
            Buffers([2, 4, 8, 16], layers => Step(layers, Tokens, 1));
            Steps(Step(Layers, Tokens, 60));
            return 0;
        }
        finally
        {
            Directory.Delete(root, true);
        }
    }

    private static void Times(string what, int[] sizes, Func<int, BenchReport> step)
    {
        Console.WriteLine($"{what,7}  step ms  of it attention  without  on the line  off it");
        var rows = sizes.Select(size => (Size: size, Report: step(size))).Select(row =>
        {
            // The mean of the parts belongs to the mean step; the best step says more of the machine, so attention is taken in proportion.
            var (best, mean) = (row.Report.StepSeconds.Min(), row.Report.StepSeconds.Average());
            return (row.Size, Best: best, Attention: row.Report.Parts.Single(part => part.Part == "attention").Seconds * best / mean);
        }).ToList();
        var line = Line([.. rows.Select(row => ((double)row.Size, row.Best - row.Attention))]);
        foreach (var (size, best, attention) in rows)
        {
            var (rest, expected) = (best - attention, line.Start + line.Slope * size);
            Console.WriteLine($"{size,7}  {best * 1e3,7:0.0}  {attention * 1e3,15:0.0}  {rest * 1e3,7:0.0}  {expected * 1e3,11:0.0}  "
                + $"{(rest / expected - 1) * 100,5:0.0} %");
        }
        Console.WriteLine($"{line.Start * 1e3:0.0} ms + {line.Slope * 1e3:0.0000} ms for each of the {what}\n");
    }

    private static void Buffers(int[] sizes, Func<int, BenchReport> step)
    {
        var points = sizes.Select(layers => ((double)layers, (double)step(layers).BufferBytes)).ToArray();
        var line = Line(points);
        foreach (var (layers, bytes) in points)
            Console.WriteLine($"{layers,7} layers: {bytes / (1 << 20):0.000} MiB of buffers, {Math.Round(bytes - line.Start - line.Slope * layers) + 0.0:0}"
                + " bytes off the line");
        Console.WriteLine($"{line.Slope:0} bytes for each layer; its input takes {4L * Tokens * Small.Hidden}\n");
    }

    private static void Steps(BenchReport report)
    {
        var resident = report.ResidentAfterSteps;
        foreach (var step in new[] { 1, 2, 5, 10, 20, 40, resident.Count })
            Console.WriteLine($"{step,7} steps: {resident[step - 1] / (double)(1 << 20):0.0} MiB resident");
    }

    // Least squares of relative distances: each point counts the same.
    private static (double Start, double Slope) Line((double X, double Y)[] points)
    {
        double w = 0, x = 0, y = 0, xx = 0, xy = 0;
        foreach (var point in points)
        {
            var weight = 1 / (point.Y * point.Y);
            w += weight;
            x += weight * point.X;
            y += weight * point.Y;
            xx += weight * point.X * point.X;
            xy += weight * point.X * point.Y;
        }
        var slope = (w * xy - x * y) / (w * xx - x * x);
        return ((y - slope * x) / w, slope);
    }
}
