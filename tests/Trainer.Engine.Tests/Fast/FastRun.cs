using Trainer.Adapters;
using Trainer.Engine.Tests.Models;
using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Engine.Tests.Fast;

/// <summary>One backward pass of an adapter on every linear, over rows of unlike lengths.</summary>
internal static class FastRun
{
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
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Alpha = 8, Dropout = dropout, UseDora = dora, LoraBias = name == "llama_bias", Bias = name == "qwen2" ? BiasMode.All : BiasMode.None }, 1);
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

    public static TokenBatch Batch(int vocabulary, bool everyRow)
    {
        var random = new Random(11);
        int[] lengths = [19, 5, 5, 33, 1];
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
        return new TokenBatch(ids, targets, positions, starts, [1f, 0.5f, 2f, 1.5f, 1f]);
    }
}
