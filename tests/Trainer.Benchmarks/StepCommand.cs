using System.Globalization;
using TorchSharp;
using Trainer.Engine;
using Trainer.Engine.Fast.Bench;
using Trainer.Models;

namespace Trainer.Benchmarks;

/// <summary>Whole training steps on a random-weight model, beside the machine's ceilings.</summary>
internal static class StepCommand
{
    public static int Usage()
    {
        Console.Error.WriteLine("""
            step --shape NAME [--layers N] [--seq N] [--batch N] [--rank N] [--steps N] [--none] [--stream [--reads auto|mapped|direct] [--stream-gib N]] [--reference] [--dtype TYPE] [--threads N] [--cpu-time] [--folder DIR] [--keep]
                 NAME: tiny, 15m, 134m, 1b, 8b, 70b; --none keeps activations; TYPE: float32, bfloat16, int8; --cpu-time for busy machines, with --threads 1; --folder: where the random model lies or is written (a temporary one otherwise)
            make NAME DIR [--layers N]   writes the random model only; NAME may be 35b-a3b (NF4, 19 GiB) or gpt-oss-20b (experts in MXFP4, 13 GiB) too
            decode DIR [PROMPT-TOKENS] [TOKENS]   prefill and greedy decoding of a model folder beside the memory bound
            growth [--stream] [--threads N] [--cpu-time]   time by tokens and layers, memory by layers and steps, on small models
            kernels          quantization, dequantization, element-wise kernels against memcpy
            attention        causal, grouped, windowed and packed attention
            ranks [--shape NAME] [--ranks N] [--rounds N] [--steps N] [--batch N] [--seq N] [--trainer PATH]   the built program under mpirun, a thread a rank, beside one process
            objectives [--shape NAME] [--pairs N] [--seq N] [--rank N]   operations of a preference step beside a supervised one, counted
            narrow [--threads N] [--cpu-time]   frozen products in 8 bits and bfloat16 beside float32, both directions
            """);
        return 2;
    }

    public static int Make(string name, string folder, string[] args)
    {
        if (RandomMixture.Knows(name))
        {
            var layers = args is ["--layers", var count] ? int.Parse(count, CultureInfo.InvariantCulture) : 0;
            RandomMixture.Write(name, folder, layers, (done, all) => Console.Error.Write($"\r{done}/{all} files"));
            Console.Error.WriteLine();
            return 0;
        }
        Write(ModelShape.Find(name) ?? throw new ArgumentException($"no shape '{name}'"), folder);
        return 0;
    }

    private static void Write(ModelShape shape, string folder)
    {
        RandomModelFolder.Write(folder, shape, 1, (done, all) => Console.Error.Write($"\r{done}/{all} layers"));
        Console.Error.WriteLine();
    }

    public static int Run(string[] args)
    {
        string Value(string name, string otherwise) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : otherwise;
        int Number(string name, int otherwise) => int.Parse(Value(name, otherwise.ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture);
        var shape = ModelShape.Find(Value("--shape", "tiny"));
        if (shape is null) return Usage();
        // Fewer layers of the same shape, for a disk that is too small for all.
        if (Number("--layers", 0) is > 0 and var layers) shape = shape with { Name = $"{shape.Name}-{layers}-layers", Layers = layers };
        var threads = Number("--threads", 0);
        if (threads > 0) torch.set_num_threads(threads);
        BenchClock.CpuTime = args.Contains("--cpu-time");
        var folder = Value("--folder", Path.Combine(Path.GetTempPath(), "trainer-bench-" + shape.Name));
        if (!File.Exists(Path.Combine(folder, "config.json")))
        {
            Directory.CreateDirectory(folder);
            var free = new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;
            if (free < RandomModelFolder.BytesOf(shape) * 1.02)
                throw new InvalidOperationException($"'{folder}' needs {RandomModelFolder.BytesOf(shape) / 1e9:0.0} GB, {free / 1e9:0.0} GB are free");
            Write(shape, folder);
        }
        try
        {
            var report = StepBench.Run(new BenchOptions
            {
                Folder = folder, Batch = Number("--batch", 1), Sequence = Number("--seq", 512), Rank = Number("--rank", 16), Steps = Number("--steps", 3),
                Checkpointing = !args.Contains("--none"), Stream = args.Contains("--stream"),
                Compute = Enum.Parse<ComputeKind>(Value("--dtype", "float32"), ignoreCase: true),
                StreamReads = Enum.Parse<StreamReads>(Value("--reads", "auto"), ignoreCase: true),
                StreamBytes = Number("--stream-gib", 0) is > 0 and var gib ? (long)gib << 30 : null,
                Engine = args.Contains("--reference") ? EngineKind.Reference : EngineKind.Fast,
            }, line => Console.Error.WriteLine(line));
            foreach (var line in report.Lines()) Console.WriteLine(line);
            return report.WithoutGradient.Count == 0 && double.IsFinite(report.Loss.Last) ? 0 : 1;
        }
        finally
        {
            if (!args.Contains("--keep")) Directory.Delete(folder, true);
        }
    }
}
