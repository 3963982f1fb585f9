using Trainer.Adapters;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Tests.Models;

namespace Trainer.Engine.Tests.Adapters;

[Trait("ring", "model")]
public sealed class MergeTests : IDisposable
{
    // B A is summed in another order than in PyTorch's BLAS; the weights are of order 1.
    private const float Rounding = 2e-6f;

    private readonly string _temp = Directory.CreateTempSubdirectory("trainer-test-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    private static float[] Values(SafetensorsFile file, string name)
    {
        var values = new float[file.Entry(name).ElementCount];
        StoredValues.Read(file, file.Entry(name), 0, values);
        return values;
    }

    private static void AssertClose(SafetensorsFile expected, SafetensorsFile actual, float tolerance)
    {
        Assert.Equal(expected.Tensors.Keys.Order(), actual.Tensors.Keys.Order());
        foreach (var entry in expected.Entries)
        {
            Assert.Equal(entry.Shape, actual.Entry(entry.Name).Shape);
            float[] want = Values(expected, entry.Name), got = Values(actual, entry.Name);
            for (var i = 0; i < want.Length; i++)
                Assert.True(MathF.Abs(want[i] - got[i]) <= tolerance, $"{entry.Name}[{i}]: {want[i]} and {got[i]}");
        }
    }

    [SkippableTheory]
    [InlineData("llama31_base", "llama31", 21)]
    [InlineData("llama31_dora", "llama31", 21)]
    [InlineData("qwen2_modules_to_save_tied", "qwen2", 14)]
    public void A_merged_model_is_the_one_that_PEFT_merges(string golden, string model, int merged)
    {
        string target = Path.Combine(_temp, "m"), reference = ReferenceData.Transformers("lora", golden, "merged");
        var report = ModelMerger.Merge(ReferenceData.Transformers("models", model), ReferenceData.Transformers("lora", golden, "adapter_final"), target,
            new MergeOptions());
        Assert.Equal(merged, report.Merged);
        using SafetensorsFile expected = SafetensorsFile.Open(Path.Combine(reference, ShardedModel.SingleFile)),
            actual = SafetensorsFile.Open(Path.Combine(target, ShardedModel.SingleFile));
        AssertClose(expected, actual, Rounding);
        Assert.Equal(File.ReadAllText(Path.Combine(reference, "config.json")), File.ReadAllText(Path.Combine(target, "config.json")));
        Assert.True(File.Exists(Path.Combine(target, "generation_config.json")));
    }

    [SkippableTheory]
    [InlineData("llama31_rslora", "llama31")]
    [InlineData("llama31_layers_pattern", "llama31")]
    [InlineData("llama31_modules_to_save", "llama31")]
    [InlineData("llama_bias_lora_bias", "llama_bias")]
    [InlineData("qwen2_bias_all", "qwen2")]
    [InlineData("phi3_fused", "phi3")]
    [InlineData("gemma2_all_linear", "gemma2")]
    public void A_merged_model_computes_what_base_and_adapter_compute(string golden, string model)
    {
        string target = Path.Combine(_temp, "m"), source = ReferenceData.Transformers("models", model),
            adapter = ReferenceData.Transformers("lora", golden, "adapter_final");
        ModelMerger.Merge(source, adapter, target, new MergeOptions { MaxShardBytes = 150_000 });
        var drift = MergeDrift.Measure(source, adapter, target, new ModelLoadOptions(), TokenBatch.OfTokens([3, 7, 1, 9, 20, 33, 150, 4, 5, 90]));
        Assert.InRange(drift.Largest, 0, 2e-4);
        Assert.Equal(1, drift.Agreement);
    }

    [SkippableTheory]
    [InlineData("llama31_nf4", false)]
    [InlineData("llama31_nf4_dq", true)]
    public void A_quantized_base_gives_the_values_it_was_quantized_to(string golden, bool nested)
    {
        using BaseTensors stored = BaseTensors.Open(ReferenceData.Transformers("qlora", golden, "prequantized")),
            through = BaseTensors.Open(ReferenceData.Transformers("models", "llama31"), throughNf4: true, nested);
        using var expected = SafetensorsFile.Open(ReferenceData.Transformers("qlora", golden, "dequantized_weights.safetensors"));
        Assert.Equal(stored.Names, through.Names);
        foreach (var entry in expected.Entries.Where(entry => stored.Shapes.ContainsKey(entry.Name)))
        {
            float[] want = Values(expected, entry.Name), got = new float[want.Length], other = new float[want.Length - 70];
            stored.Read(entry.Name, 0, got);
            Assert.Equal(want, got);
            through.Read(entry.Name, 70, other);
            // A nested scale code that bitsandbytes misses by one moves its block by less than a hundredth.
            Assert.All(want[70..].Zip(other), pair => Assert.InRange(MathF.Abs(pair.First - pair.Second), 0,
                nested ? 0.02f * MathF.Abs(pair.First) + 1e-6f : 0));
        }
    }

    [SkippableFact]
    public void Merging_into_a_quantized_folder_equals_merging_into_the_original_seen_through_it()
    {
        var adapter = ReferenceData.Transformers("lora", "llama31_base", "adapter_final");
        ModelMerger.Merge(ReferenceData.Transformers("qlora", "llama31_nf4", "prequantized"), adapter, Path.Combine(_temp, "a"), new MergeOptions());
        ModelMerger.Merge(ReferenceData.Transformers("models", "llama31"), adapter, Path.Combine(_temp, "b"),
            new MergeOptions { OntoQuantized = true, DoubleQuantize = false });
        Assert.Equal(File.ReadAllBytes(Path.Combine(_temp, "a", ShardedModel.SingleFile)),
            File.ReadAllBytes(Path.Combine(_temp, "b", ShardedModel.SingleFile)));
        Assert.DoesNotContain("quantization_config", File.ReadAllText(Path.Combine(_temp, "a", "config.json")));
    }

    [SkippableTheory]
    [InlineData("ct_fp8_channel", 1f, 0.97, 1.03, 0.3)]
    [InlineData("gptq4_act_order", 1f, 0.97, 1.03, 0.3)]
    [InlineData("ct_fp8_channel", 1e-5f, 0, 0.9, 20)]
    public void Of_a_change_that_is_finer_than_the_written_type_it_is_told_how_much_is_left(string name, float scale, double least, double most, double error)
    {
        var source = Path.Combine(Golden.Fixtures, "quantized", name);
        var adapter = Directory.CreateDirectory(Path.Combine(_temp, "adapter")).FullName;
        var spec = new Trainer.Models.Lora.LoraSpec { Rank = 2, Alpha = 2, Targets = Trainer.Models.Lora.TargetModules.OfNames(["q_proj", "down_proj"]) };
        using (var model = CausalModel.Load(source, new ModelLoadOptions()))
        {
            AdapterInjector.Inject(model, spec, 1);
            foreach (var entry in model.Parameters.Entries.Where(entry => entry.Name.Contains("lora_B", StringComparison.Ordinal)))
                model.Parameters.Write(entry, [.. Enumerable.Range(0, (int)entry.Count).Select(i => scale * (i % 9 - 4) / 10)]);
            PeftFolder.Save(adapter, model, spec, source);
        }
        var survival = ModelMerger.Merge(source, adapter, Path.Combine(_temp, "m"), new MergeOptions { Type = SafetensorsDtype.BF16 }).Survival;
        Assert.InRange(survival.Share!.Value, least, most);
        Assert.InRange(survival.Error!.Value, 1e-4, error);
        // In full width all of it is there.
        Assert.Equal(1, ModelMerger.Merge(source, adapter, Path.Combine(_temp, "f"), new MergeOptions { Type = SafetensorsDtype.F32 }).Survival.Share!.Value,
            1e-6);
    }

    [SkippableFact]
    public void An_adapter_of_another_base_is_refused_before_anything_is_written()
    {
        var target = Path.Combine(_temp, "m");
        var message = Assert.Throws<AdapterException>(() => ModelMerger.Merge(ReferenceData.Transformers("models", "qwen2"),
            ReferenceData.Transformers("lora", "llama31_base", "adapter_final"), target, new MergeOptions())).Message;
        Assert.Contains("made for 'llama31'", message);
        Assert.Empty(Directory.GetFileSystemEntries(_temp));
    }
}
