using Trainer.Adapters;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

/// <summary>One backward pass of an adapter on every linear, over rows of unlike lengths.</summary>
internal static class FastRun
{
    /// <summary>Largest difference of a gradient as a share of the tensor's largest. Two orders of addition of the same float32 numbers: a hundredth of the
    /// gate against the goldens.</summary>
    public const double Gate = 2e-5;

    /// <summary>The engines that compute by hand, over the processor's kernels and over libtorch's operations: one gate.</summary>
    public static EngineKind[] Hand { get; } = [EngineKind.Fast, EngineKind.Libtorch];

    public static void AssertClose((double Loss, Dictionary<string, float[]> Gradients) expected, (double Loss, Dictionary<string, float[]> Gradients) actual,
        string where, double share = Gate)
    {
        Assert.InRange(Math.Abs(expected.Loss - actual.Loss) / expected.Loss, 0, 1e-6);
        foreach (var (tensor, values) in expected.Gradients)
        {
            var (difference, gate) = (Golden.LargestDifference(values, actual.Gradients[tensor]), share * values.Max(Math.Abs));
            Assert.True(difference <= gate, $"{tensor} {where}: {difference:g3} above {gate:g3}");
        }
    }

    /// <summary>One backward pass of a model of 96 tokens in any folder.</summary>
    public static (double Loss, Dictionary<string, float[]> Gradients) Step(string folder, EngineKind engine, bool recompute, bool everyRow,
        Action<CausalModel> inject, ComputeKind compute = ComputeKind.Float32, int[]? lengths = null)
    {
        using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = engine, GradientCheckpointing = recompute, Compute = compute });
        inject(model);
        var plain = Batch(96, everyRow, lengths);
        var batch = new TokenBatch(plain.TokenIds, plain.Targets, plain.Positions, plain.SegmentStarts,
            plain.SegmentWeights) { BalanceWeight = model.Config.BalanceLoss > 0 ? 20 : 0 };
        var result = model.ForwardBackward(batch, 0.125, new StepKey(1, 2, 3));
        Assert.Equal(engine.ToString(), model.Engine.Name, ignoreCase: true);
        Assert.Equal(model.Config.BalanceLoss > 0, result.Balance > 0);
        return (result.LossSum, model.Parameters.Entries.ToDictionary(entry => entry.Name, entry => model.Parameters.GradientsOf(entry).ToArray()));
    }

    /// <summary>Packed rows are rows apart, and tokens one by one those of whole passes, for a model of 96 tokens.</summary>
    public static void AssertRows(string folder, double packedGate = 1e-5, params EngineKind[] engines)
    {
        foreach (var engine in engines is [] ? Hand : engines)
        {
            using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = engine, Compute = ComputeKind.Float32 });
            int[] first = [.. Enumerable.Range(0, 19).Select(i => i * 5 % 96)], second = [.. Enumerable.Range(0, 11).Select(i => (i * 11 + 3) % 96)];
            float[] packed = Logits(model, TokenBatch.OfRows([(first, first), (second, second)])),
                apart = [.. Logits(model, TokenBatch.OfTokens(first)), .. Logits(model, TokenBatch.OfTokens(second))];
            Assert.InRange(Golden.LargestDifference(packed, apart), 0, packedGate);
            using var decoder = model.Engine.Decoder();
            // Several tokens at once, then one by one; and again from the start.
            for (var again = 0; again < 2; again++)
            {
                Assert.Equal(0, decoder.Truncate(0));
                decoder.Next(first[..2], 0);
                decoder.Next(first[2..7], 0);
                for (var t = 7; t < 19; t++)
                    Assert.InRange(Golden.LargestDifference(decoder.Next(first[t..(t + 1)], 0), packed.AsSpan(t * 96, 96)), 0, 5 * packedGate);
            }
        }
    }

    private static float[] Logits(CausalModel model, TokenBatch batch)
    {
        using var logits = model.Logits(batch);
        return logits.data<float>().ToArray();
    }

    public static (double Loss, Dictionary<string, float[]> Gradients) Gradients(
        string name, EngineKind engine, bool checkpointing, double dropout, bool everyRow, Action<CausalModel>? change = null, TokenBatch? batch = null,
        ComputeKind compute = ComputeKind.Auto, bool dora = false)
    {
        using var model = Adapted(name, engine, checkpointing, dropout, compute, dora);
        change?.Invoke(model);
        var result = model.ForwardBackward(batch ?? Batch(model.Config.VocabularySize, everyRow), 0.125, new StepKey(1, 2, 3));
        Assert.Equal(engine.ToString(), model.Engine.Name, ignoreCase: true);
        return (result.LossSum, model.Parameters.Entries.ToDictionary(entry => entry.Name, entry => model.Parameters.GradientsOf(entry).ToArray()));
    }

    public static CausalModel Adapted(string name, EngineKind engine, bool checkpointing, double dropout, ComputeKind compute, bool dora)
    {
        var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = engine, GradientCheckpointing = checkpointing, Compute = compute });
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Alpha = 8, Dropout = dropout, UseDora = dora, LoraBias = name == "llama_bias",
            Bias = name == "qwen2" ? BiasMode.All : BiasMode.None }, 1);
        Randomize(model);
        return model;
    }

    /// <summary>B is 0 in a fresh adapter, which would leave A without gradient.</summary>
    public static void Randomize(CausalModel model)
    {
        var random = new Random(5);
        foreach (var entry in model.Parameters.Entries.Where(entry => entry.Name.Contains("lora_B", StringComparison.Ordinal)))
            foreach (ref var value in model.Parameters.ValuesOf(entry)) value = (float)(random.NextDouble() - 0.5) * 0.2f;
    }

    /// <summary>Rows of five lengths, tokens without loss among them.</summary>
    public static TokenBatch Batch(int vocabulary, bool everyRow, int[]? lengths = null)
    {
        var random = new Random(11);
        lengths ??= [19, 5, 5, 33, 1];
        var (total, at) = (lengths.Sum(), 0);
        int[] ids = new int[total], targets = new int[total], positions = new int[total], starts = new int[lengths.Length + 1];
        for (var s = 0; s < lengths.Length; s++)
        {
            starts[s] = at;
            for (var t = 0; t < lengths[s]; t++, at++)
            {
                ids[at] = random.Next(vocabulary);
                positions[at] = t;
                targets[at] = everyRow || random.Next(3) == 0 ? random.Next(vocabulary) : TokenBatch.IgnoredTarget;
            }
        }
        starts[^1] = total;
        return new TokenBatch(ids, targets, positions, starts, new[] { 1f, 0.5f, 2f, 1.5f, 1f }[..lengths.Length]);
    }
}
