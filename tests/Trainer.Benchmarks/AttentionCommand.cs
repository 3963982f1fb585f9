using TorchSharp;
using Trainer.Engine;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Engine.Passes;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Benchmarks;

/// <summary>One layer's attention, forward and backward, in the cases that training has; beside it libtorch's flash kernels where they need no mask.</summary>
internal static unsafe class AttentionCommand
{
    private const int Heads = 32, KvHeads = 8;

    public static int Run(string[] args)
    {
        BenchClock.CpuTime = args.Contains("--cpu-time");
        if (BenchClock.CpuTime) set_num_threads(1);
        Console.WriteLine("32 heads, 8 key heads; ms forward, ms backward");
        foreach (var size in (int[])[64, 128])
        {
            foreach (var length in (int[])[256, 512, 2048])
            {
                Blocks($"blocks causal {length} x {size}", size, length, [0, length], null);
                Flash($"flash  causal {length} x {size}", size, length);
            }
            Blocks($"blocks window 512 of 2048 x {size}", size, 2048, [0, 2048], 512);
            Blocks($"blocks packed 4 x 512 x {size}", size, 2048, [0, 512, 1024, 1536, 2048], null);
        }
        return 0;
    }

    private static void Blocks(string name, int size, int tokens, int[] starts, int? window)
    {
        var config = new ModelConfig
        {
            ModelType = "llama", VocabularySize = 8, HiddenSize = Heads * size, Ropes = [], MaxPositions = tokens, Norm = new NormConfig(1e-5),
            Layers = [new LayerConfig { Mixer = new SelfAttention { Heads = Heads, KvHeads = KvHeads, HeadSize = size, Scale = 0.125, Window = window,
                Rope = -1 }, FeedForward = new DenseFeedForward { Width = 64 } }],
        };
        var shape = new FastShape(config);
        var decoder = DecoderBlueprint.Of(config);
        var batch = new TokenBatch(new int[tokens], new int[tokens], [.. Enumerable.Range(0, tokens)], starts, new float[starts.Length - 1]);
        var layout = EngineLayout.Of(AdapterBlueprint.None(decoder), BatchShape.Of(batch), PassMode.Kept,
            EngineShape.Of(decoder, ComputeKind.Float32, get_num_threads(), WeightForm.Float32, WeightForm.Float32));
        var kernels = new CpuKernels(shape, ComputeKind.Float32, new PanelPlan());
        using var block = kernels.Allocate(layout.Bytes);
        var pass = new FastPass(config, batch, kernels, new PassMemory(layout, block), null);
        var state = pass.State(0);
        var heads = shape.HeadsOf(0)!;
        var (queries, keys) = ((long)tokens * heads.Query, (long)tokens * heads.Kv);
        using var gradients = kernels.Allocate(sizeof(float) * (2 * queries + 2 * keys));
        Place gradient = new(gradients, 0), dq = gradient + queries, dk = dq + queries, dv = dk + keys;
        foreach (var (place, count) in new[] { (gradient, queries), (state.Query, queries), (state.Key, keys), (state.Value, keys) })
            Fill(HostMemory.At<float>(place), count);
        var layer = state.Attention(heads, window, default);
        Report(name, () => kernels.Attention(pass.Memory, starts, layer), () => kernels.AttentionBackward(pass.Memory, starts, layer, gradient, dq, dk, dv));
    }

    private static void Flash(string name, int size, int tokens)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var arena = new Arena(1L << 30);
        const int group = Heads / KvHeads;
        float* q = Filled(arena, (long)tokens * Heads * size), k = Filled(arena, (long)tokens * KvHeads * size), g = Filled(arena, (long)tokens * Heads * size);
        long[] queries = [KvHeads, group, tokens, size], steps = [group * size, size, Heads * size, 1];
        var (query, upper) = (TorchMemory.View(q, queries, steps), TorchMemory.View(g, queries, steps));
        var key = TorchMemory.View(k, queries, [size, 0, KvHeads * size, 1]);
        var (output, logSum) = FlashAttention.Forward(query, key, key, true, null, 0.125);
        Report(name, () =>
        {
            var (o, l) = FlashAttention.Forward(query, key, key, true, null, 0.125);
            o.Dispose();
            l.Dispose();
        }, () =>
        {
            var (a, b, c) = FlashAttention.Backward(upper, query, key, key, output, logSum, true, null, 0.125);
            a.Dispose();
            b.Dispose();
            c.Dispose();
        });
    }

    private static void Report(string name, Action forward, Action backward)
    {
        double first = double.MaxValue, second = double.MaxValue;
        for (var i = 0; i < 6; i++)
        {
            var start = BenchClock.Now;
            forward();
            first = Math.Min(first, BenchClock.Since(start));
            start = BenchClock.Now;
            backward();
            second = Math.Min(second, BenchClock.Since(start));
        }
        Console.WriteLine($"{name,-34} {first * 1e3,8:0.0} {second * 1e3,8:0.0}");
    }

    private static float* Filled(Arena arena, long count)
    {
        var values = arena.Floats(count);
        Fill(values, count);
        return values;
    }

    private static void Fill(float* values, long count)
    {
        for (long i = 0; i < count; i++) values[i] = MathF.Sin(i * 0.7f);
    }
}
