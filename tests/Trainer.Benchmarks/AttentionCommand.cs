using System.Diagnostics;
using TorchSharp;
using Trainer.Models;
using Trainer.Models.Fast;
using static TorchSharp.torch;

namespace Trainer.Benchmarks;

/// <summary>One layer's attention, forward and backward, in the cases that training has.</summary>
internal static unsafe class AttentionCommand
{
    public static int Run()
    {
        Console.WriteLine("32 heads of 64, 8 key heads; ms forward, ms backward");
        foreach (var length in (int[])[512, 2048])
        {
            Report($"causal {length}", length, [0, length], null);
            Report($"window {length / 4} of {length}", length, [0, length], length / 4);
            Report($"packed 4 x {length / 4}", length, [0, length / 4, length / 2, 3 * length / 4, length], null);
        }
        return 0;
    }

    private static void Report(string name, int tokens, int[] starts, int? window)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var config = new ModelConfig
        {
            ModelType = "llama", VocabularySize = 8, HiddenSize = 2048, IntermediateSize = 64, Heads = 32, KvHeads = 8, HeadSize = 64, Layers = [new LayerConfig(window, -1)], Ropes = [],
            MaxPositions = tokens, NormEpsilon = 1e-5, AttentionScale = 0.125,
        };
        var shape = new FastShape(config);
        using var arena = new Arena(1L << 30);
        var state = new LayerState(arena, shape, tokens, new int[9]);
        float* gradient = arena.Floats((long)tokens * 2048), dq = arena.Floats((long)tokens * 2048), dk = arena.Floats((long)tokens * 512), dv = arena.Floats((long)tokens * 512);
        using var attention = new FastAttention(shape, new StepMeter());
        double forward = double.MaxValue, backward = double.MaxValue;
        for (var i = 0; i < 6; i++)
        {
            var start = Stopwatch.GetTimestamp();
            attention.Forward(state, AttentionBlock.Of(starts, window), true);
            forward = Math.Min(forward, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            start = Stopwatch.GetTimestamp();
            attention.Backward(state, AttentionBlock.Of(starts, window), gradient, dq, dk, dv, tokens);
            backward = Math.Min(backward, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        Console.WriteLine($"{name,-24} {forward,8:0.0} {backward,8:0.0}");
    }
}
