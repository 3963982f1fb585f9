using System.Text.Json;
using Trainer.Adapters;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>The LoRA runs of the larger reference data against PEFT: gradients, ten steps, the final adapter, on whole graphs and recomputed ones.</summary>
[Trait("ring", "slow")]
public class GoldenLoraTests
{
    public static TheoryData<string> Runs => new(GoldenFamilies.LoraRuns);

    [SkippableTheory, MemberData(nameof(Runs))]
    public void Gradients_ten_steps_and_final_adapter_follow_the_reference(string name)
    {
        var folder = ReferenceData.Transformers("lora", name);
        var expected = Golden.Expected(folder);
        var baseFolder = ReferenceData.Transformers("models", expected.GetProperty("base_model").GetString()!);
        foreach (var (engine, checkpointing) in GoldenFamilies.Engines(baseFolder).SelectMany(engine => new[] { (engine, true), (engine, false) }))
        {
            if (Directory.Exists(Path.Combine(folder, "adapter_init")))
            {
                using var model = CausalModel.Load(baseFolder,
                    new ModelLoadOptions { Engine = engine, Compute = ComputeKind.Float32, GradientCheckpointing = checkpointing });
                var frozen = FrozenBlock.Of(false, PeftFolder.Load(model, Path.Combine(folder, "adapter_init")).IsDoubled, model.Parameters.Entries);
                Gradients(model, baseFolder, folder, expected, GoldenFamilies.LossGate(name));
                LoraGoldenTests.Follow(model, name, expected.GetProperty("traj"), 1,
                    ReferenceData.Transformers("lora", $"batches_{model.Config.VocabularySize}.safetensors"), frozen);
            }
            using var final = Load(baseFolder, Path.Combine(folder, "adapter_final"), checkpointing, engine);
            Logits(final, baseFolder, folder, name);
        }
        Merged(baseFolder, Path.Combine(folder, "adapter_final"), folder, name);
        // The same for the original base, by PEFT's own conversion.
        if (!Directory.Exists(Path.Combine(folder, "adapter_final_converted"))) return;
        using var converted = Load(baseFolder, Path.Combine(folder, "adapter_final_converted"), checkpointing: true, EngineKind.Reference);
        Logits(converted, baseFolder, folder, name);
    }

    // Saved, read back and merged into the base it is the same model.
    private static void Merged(string baseFolder, string adapter, string folder, string name)
    {
        var merged = Directory.CreateTempSubdirectory("golden-merged-").FullName;
        Directory.Delete(merged);
        ModelMerger.Merge(baseFolder, adapter, merged, new MergeOptions());
        using (var model = CausalModel.Load(merged, new ModelLoadOptions { Engine = EngineKind.Reference })) Logits(model, baseFolder, folder, name);
        Directory.Delete(merged, recursive: true);
    }

    private static CausalModel Load(string baseFolder, string adapter, bool checkpointing, EngineKind engine)
    {
        var model = CausalModel.Load(baseFolder,
            new ModelLoadOptions { Engine = engine, Compute = ComputeKind.Float32, GradientCheckpointing = checkpointing });
        PeftFolder.Load(model, adapter);
        return model;
    }

    private static void Gradients(CausalModel model, string baseFolder, string folder, JsonElement expected, double lossGate)
    {
        using var io = SafetensorsFile.Open(Path.Combine(baseFolder, "io.safetensors"));
        using var gradients = SafetensorsFile.Open(Path.Combine(folder, "grads_step0.safetensors"));
        var batch = Golden.Batch(io, trimmed: true);
        var result = model.ForwardBackward(batch, 1.0 / batch.TrainedTokens);
        Assert.InRange(Math.Abs(result.LossSum / result.TrainedTokens - expected.GetProperty("loss_step0").GetDouble()), 0, lossGate);
        // Adapters of other towers get no gradient on text.
        var idle = expected.TryGetProperty("no_grad_tensors", out var list) ? list.EnumerateArray().Select(item => item.GetString()!).ToHashSet() : [];
        var trained = gradients.Tensors.Where(pair => !idle.Contains(pair.Key)).ToList();
        Assert.Equal(trained.Count, model.Parameters.Entries.Count);
        foreach (var (key, entry) in trained)
        {
            var own = model.Parameters.Find(key) ?? throw new InvalidOperationException($"{key} is not trained");
            var reference = Golden.Floats(gradients, key);
            var difference = Golden.LargestDifference(FirstHalf(model.Parameters.GradientsOf(own), own.Shape, entry.Shape), reference);
            Assert.True(difference <= GoldenFamilies.GradientGate(folder) * reference.Max(Math.Abs), $"{key}: {difference} of {reference.Max(Math.Abs)}");
        }
        model.Parameters.ZeroGradients();
    }

    // Of an adapter with a frozen second half, the rows of A and the columns of B that are trained.
    private static float[] FirstHalf(ReadOnlySpan<float> values, IReadOnlyList<long> shape, long[] wanted)
    {
        if (shape.SequenceEqual(wanted)) return values.ToArray();
        Assert.Equal(2 * wanted[0] * wanted[1], shape[0] * shape[1]);
        if (shape[0] != wanted[0]) return values[..(values.Length / 2)].ToArray();
        var (all, width) = (values.ToArray(), (int)wanted[1]);
        return [.. Enumerable.Range(0, (int)wanted[0]).SelectMany(row => all[(2 * row * width)..((2 * row + 1) * width)])];
    }

    private static void Logits(CausalModel model, string baseFolder, string folder, string name)
    {
        using var io = SafetensorsFile.Open(Path.Combine(baseFolder, "io.safetensors"));
        using var file = SafetensorsFile.Open(Path.Combine(folder, "logits.safetensors"));
        var (mask, wanted) = (Golden.Ints(io, "attention_mask"), Golden.Floats(file, "logits_loaded"));
        using var logits = model.Logits(Golden.Batch(io, trimmed: true));
        var (own, size, at) = (logits.data<float>().ToArray(), model.Config.VocabularySize, 0);
        for (var token = 0; token < mask.Length; token++)
        {
            if (mask[token] == 0) continue;
            Assert.InRange(Golden.LargestDifference(own.AsSpan(at, size), wanted.AsSpan(token * size, size)), 0, 2 * GoldenFamilies.LogitGate(name));
            at += size;
        }
    }
}
