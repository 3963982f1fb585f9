using System.Text.Json;
using Trainer.Adapters;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Adapters;

[Trait("ring", "model")]
public class LoraGoldenTests
{
    public static TheoryData<string, bool, EngineKind> Cases
    {
        get
        {
            var data = new TheoryData<string, bool, EngineKind>();
            foreach (var folder in Directory.GetDirectories(Golden.Folder("lora")).Order(StringComparer.Ordinal))
                foreach (var checkpointing in (bool[])[true, false])
                    foreach (var engine in (EngineKind[])[EngineKind.Reference, EngineKind.Auto]) data.Add(Path.GetFileName(folder), checkpointing, engine);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loss_and_every_gradient_equal_the_reference(string name, bool checkpointing, EngineKind engine)
    {
        using var model = Load(name, "adapter_init", checkpointing, engine);
        using var io = SafetensorsFile.Open(Golden.Folder(BaseOf(name), "io.safetensors"));
        using var expected = SafetensorsFile.Open(Golden.Folder("lora", name, "grads_step0.safetensors"));
        var batch = Golden.Batch(io, trimmed: true);
        var result = model.ForwardBackward(batch, 1.0 / batch.TrainedTokens);
        Assert.Equal(batch.TrainedTokens, result.TrainedTokens);
        Assert.Equal(engine == EngineKind.Reference || model.Embedding.Adapter is not null || model.Embedding.Rows is not null ? "reference" : "fast",
            model.Engine.Name);
        Assert.InRange(Math.Abs(result.LossSum / result.TrainedTokens - Golden.Expected(Golden.Folder("lora", name)).GetProperty("loss_step0").GetDouble()), 0,
            Golden.LossGate);
        Assert.Equal(expected.Tensors.Count, model.Parameters.Entries.Count);
        foreach (var (key, entry) in expected.Tensors)
        {
            // In memory some names have a part that the file has not.
            var onDisk = key.Replace(".modules_to_save", "", StringComparison.Ordinal).Replace("magnitude_vector.weight", "magnitude_vector",
                StringComparison.Ordinal);
            var own = model.Parameters.Find(onDisk) ?? throw new InvalidOperationException($"{key} is not trained");
            Assert.Equal(entry.Shape, own.Shape);
            var reference = Golden.Floats(expected, key);
            var difference = Golden.LargestDifference(model.Parameters.GradientsOf(own), reference);
            Assert.True(difference <= Golden.GradientGate * reference.Max(Math.Abs), $"{key}: {difference} of {reference.Max(Math.Abs)}");
        }
    }

    // One step of every case is compared above, so the way over ten of them is one of each alone: recomputing, by the engine that a run takes.
    private static bool IsUsual(object[] one) => one[1] is true && one[2] is EngineKind.Auto;

    public static IEnumerable<object[]> UsualCases => Rings.Always(Cases, IsUsual);

    public static IEnumerable<object[]> OtherCases => Rings.Slow(Cases, IsUsual);

    [Theory, MemberData(nameof(OtherCases)), Trait("ring", "slow")]
    public void Ten_steps_follow_the_reference_in_every_way(string name, bool checkpointing, EngineKind engine)
        => Ten_steps_follow_the_reference(name, checkpointing, engine);

    [Theory]
    [MemberData(nameof(UsualCases))]
    public void Ten_steps_follow_the_reference(string name, bool checkpointing, EngineKind engine)
    {
        foreach (var (key, accumulation) in new[] { ("traj", 1), ("traj_accum2_tokens", 2) })
        {
            if (!Golden.Expected(Golden.Folder("lora", name)).TryGetProperty(key, out var trajectory)) continue;
            using var model = Load(name, "adapter_init", checkpointing, engine);
            Follow(model, BaseOf(name), trajectory, accumulation);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_trained_adapter_gives_the_losses_of_the_reference(string name, bool checkpointing, EngineKind engine)
    {
        // Upstream trains these biases and does not save them, so its own reload differs from its memory.
        if (name == "qwen2_bias_lora_only") return;
        using var model = Load(name, "adapter_final", checkpointing, engine);
        using var io = SafetensorsFile.Open(Golden.Folder(BaseOf(name), "io.safetensors"));
        var batch = Golden.Batch(io, trimmed: true);
        var loss = model.TokenLosses(batch).Sum(value => (double)value) / batch.TrainedTokens;
        Assert.InRange(Math.Abs(loss - Golden.Expected(Golden.Folder("lora", name)).GetProperty("io_loss_final").GetDouble()), 0, Golden.LossGate);
    }

    internal static void Follow(CausalModel model, string baseName, JsonElement trajectory, int accumulation, string? batchFile = null,
        IReadOnlyList<FrozenBlock>? frozen = null)
    {
        var still = model.Parameters.ValueSpan.ToArray();
        using var data = SafetensorsFile.Open(batchFile ?? Golden.Folder("lora", $"batches_{model.Config.VocabularySize}.safetensors"));
        var losses = trajectory.GetProperty("losses").EnumerateArray().Select(item => item.GetDouble()).ToArray();
        var norms = trajectory.GetProperty("grad_norms").EnumerateArray().Select(item => item.GetDouble()).ToArray();
        var optimizer = new PlainOptimizer(model.Parameters, 1e-3, 0.01, 2, 10);
        for (var step = 0; step < losses.Length; step++)
        {
            var batches = Enumerable.Range(step * accumulation, accumulation).Select(index => MicroBatch(data, index)).ToList();
            var tokens = batches.Sum(batch => batch.TrainedTokens);
            var sum = batches.Sum(batch => model.ForwardBackward(batch, 1.0 / tokens).LossSum);
            foreach (var block in frozen ?? []) block.Clear(model.Parameters.GradientSpan);
            var norm = optimizer.Step();
            foreach (var block in frozen ?? []) block.Copy(still, model.Parameters.ValueSpan);
            Assert.True(Math.Abs(sum / tokens - losses[step]) <= Golden.TrajectoryGate,
                $"{baseName} step {step}: loss {sum / tokens}, expected {losses[step]}");
            Assert.True(Math.Abs(norm - norms[step]) <= 1e-3 * norms[step], $"{baseName} step {step}: norm {norm}, expected {norms[step]}");
        }
    }

    internal static CausalModel Load(string name, string adapter, bool checkpointing, EngineKind engine = EngineKind.Reference)
    {
        var model = CausalModel.Load(Golden.Folder(BaseOf(name)), new ModelLoadOptions { Engine = engine, GradientCheckpointing = checkpointing });
        PeftFolder.Load(model, Golden.Folder("lora", name, adapter));
        return model;
    }

    internal static string BaseOf(string name) => Golden.Expected(Golden.Folder("lora", name)).GetProperty("base_model").GetString()!;

    private static TokenBatch MicroBatch(SafetensorsFile data, int index)
    {
        var all = data.Tensors.Keys.ToList();
        var (ids, labels) = (all.Single(key => key.Contains("input_ids", StringComparison.Ordinal)),
            all.Single(key => key.Contains("labels", StringComparison.Ordinal)));
        var shape = data.Entry(ids).Shape;
        var (rows, length) = ((int)shape[^2], (int)shape[^1]);
        var (allIds, allLabels) = (Golden.Ints(data, ids), Golden.Ints(data, labels));
        return TokenBatch.OfRows([.. Enumerable.Range(index * rows, rows)
            .Select(r => (allIds[(r * length)..((r + 1) * length)], allLabels[(r * length)..((r + 1) * length)]))]);
    }
}
