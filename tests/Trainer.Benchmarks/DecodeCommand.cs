using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using Trainer.Engine;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Generation;
using Trainer.Engine.Native;

namespace Trainer.Benchmarks;

/// <summary>Prefill and greedy decoding on a random-weight model, beside the time that reading its weights once takes; with --batch N, N texts together beside
/// one.</summary>
internal static class DecodeCommand
{
    private const int Rounds = 3;

    public static int Run(string folder, string[] words)
    {
        var flag = Array.IndexOf(words, "--batch");
        int? size = flag < 0 ? null : flag + 1 < words.Length && int.TryParse(words[flag + 1], CultureInfo.InvariantCulture, out var given) && given > 0
            ? given : throw new ArgumentException("--batch needs a number of texts");
        var counts = flag < 0 ? words : [.. words[..flag], .. words[(flag + 2)..]];
        int Count(int at, int otherwise) => counts.Length > at ? int.Parse(counts[at], CultureInfo.InvariantCulture) : otherwise;
        var (promptTokens, tokens) = (Count(0, 64), Count(1, 33));
        using var model = CausalModel.Load(folder);
        int[] prompt = [.. Enumerable.Range(0, promptTokens).Select(i => 3 + i * 7 % 500)];
        using var generator = new TextGenerator(model);
        Warm(generator, prompt);
        if (size is { } texts) return Together(model, promptTokens, tokens, texts);
        var began = Stopwatch.GetTimestamp();
        var (first, last, made) = (0.0, 0.0, 0);
        foreach (var _ in generator.Generate(prompt, new SamplingOptions { MaxTokens = tokens, StopIds = [] }))
        {
            last = Stopwatch.GetElapsedTime(began).TotalSeconds;
            if (made++ > 0) continue;
            first = last;
            (model.Engine as FastEngine)?.Meter.Clear();
        }
        var perToken = (last - first) / (made - 1);
        var (bytes, rate) = (ReadPerToken(model), ReadRate());
        Console.WriteLine($"threads {torch.get_num_threads()}  kernels {Numerics.Kernels.Width}  weights read a token {bytes / 1e9:0.000} GB  memory "
            + $"read {rate / 1e9:0.0} GB/s");
        Console.WriteLine($"prefill {promptTokens} tokens {first:0.00} s = {promptTokens / first:0.0} tokens/s");
        Console.WriteLine($"decode {made - 1} tokens {perToken * 1e3:0.0} ms each "
            + $"= {1 / perToken:0.00} tokens/s, {bytes / rate / perToken:0.00} of the memory bound, {GC.CollectionCount(0)} collections");
        Tell(model, "a step", made - 1);
        return 0;
    }

    private static void Tell(CausalModel model, string name, int steps)
    {
        if (model.Engine is FastEngine engine)
            Console.WriteLine($"{name}: " + string.Join("  ",
                Enum.GetValues<StepPart>().Select(part => $"{part} {engine.Meter.Seconds(part) / steps * 1e3:0.0} ms")));
    }

    // One text and many in turns, the better round of each: a busy moment then counts for neither.
    private static int Together(CausalModel model, int promptTokens, int tokens, int texts)
    {
        var (one, many, memory) = (0.0, 0.0, 0L);
        for (var round = 0; round < Rounds; round++)
        {
            one = Math.Max(one, Rate(model, promptTokens, tokens, 1, out _));
            Tell(model, "1 text", tokens - 1);
            many = Math.Max(many, Rate(model, promptTokens, tokens, texts, out memory));
            Tell(model, $"{texts} texts", tokens - 1);
        }
        Console.WriteLine($"threads {torch.get_num_threads()}  kernels {Numerics.Kernels.Width}  prompts of {promptTokens} tokens, {tokens} made of each  "
            + $"keys and values {memory / (double)(1 << 20):0.0} MiB");
        Console.WriteLine($"1 text {one:0.00} tokens/s  {texts} texts {many:0.00} tokens/s = {many / one:0.00} times");
        return 0;
    }

    // Tokens/s of all texts from the moment that every prompt is computed.
    private static double Rate(CausalModel model, int promptTokens, int tokens, int texts, out long memory)
    {
        using var batch = new TextBatch(model);
        for (var text = 0; text < texts; text++)
            batch.Add([.. Enumerable.Range(0, promptTokens).Select(i => 3 + (i * 7 + text * 31) % 500)],
                new SamplingOptions { MaxTokens = tokens, StopIds = [] });
        memory = batch.Bytes;
        while (batch.ComputedTokens < (long)texts * promptTokens) batch.Step();
        (model.Engine as FastEngine)?.Meter.Clear();
        var (began, made) = (Stopwatch.GetTimestamp(), 0);
        while (batch.Count == texts) made += batch.Step().Count;
        return made / Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    // Pages of a mapped file come in, methods are compiled at their last tier.
    private static void Warm(TextGenerator generator, int[] prompt)
    {
        foreach (var _ in generator.Generate([.. prompt[..2].Reverse()], new SamplingOptions { MaxTokens = 8, StopIds = [] }))
        {
        }
        Thread.Sleep(500);
    }

    private static double ReadPerToken(CausalModel model) => model.Linears.Sum(linear => linear.Weight.ByteCount) + model.Head.Weight.ByteCount;

    // Sums of 64-bit words over 512 MiB on all threads: nothing is written.
    private static unsafe double ReadRate()
    {
        const long words = 64 << 20;
        using var block = torch.ones(words, dtype: torch.ScalarType.Int64);
        var start = (ulong*)TorchMemory.Pointer(block);
        var best = double.MaxValue;
        long sink = 0;
        for (var i = 0; i < 5; i++)
        {
            var began = Stopwatch.GetTimestamp();
            ComputeThreads.For(0, words / 4096, 64, (from, to) =>
            {
                var sum = System.Runtime.Intrinsics.Vector256<ulong>.Zero;
                for (var p = start + from * 4096; p < start + to * 4096; p += 16)
                    sum += System.Runtime.Intrinsics.Vector256.Load(p) + System.Runtime.Intrinsics.Vector256.Load(p + 4)
                        + System.Runtime.Intrinsics.Vector256.Load(p + 8) + System.Runtime.Intrinsics.Vector256.Load(p + 12);
                Interlocked.Add(ref sink, (long)sum[0]);
            });
            best = Math.Min(best, Stopwatch.GetElapsedTime(began).TotalSeconds);
        }
        return words * sizeof(ulong) / best;
    }
}
