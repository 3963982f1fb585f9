using Trainer.Adapters;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Low-rank adapters of the embedding; what PEFT computes with them is in the golden cases *_embedding*.</summary>
[Trait("ring", "model")]
public sealed class EmbeddingAdapterTests : IDisposable
{
    private static readonly TokenBatch Batch = TokenBatch.OfTokens([3, 7, 1, 9, 20, 33, 150, 4, 5, 90]);

    private readonly string _temp = Directory.CreateTempSubdirectory("trainer-test-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory]
    [InlineData("gemma3_embedding", "gemma3", true)]
    [InlineData("llama31_embedding_head", "llama31", false)]
    [InlineData("qwen2_embedding_dora", "qwen2", true)]
    public void A_merged_model_computes_what_base_and_adapter_compute_and_a_tied_one_gets_a_head_of_its_own(string adapter, string model, bool unties)
    {
        string target = Path.Combine(_temp, "m"), source = Golden.Folder(model), folder = Golden.Folder("lora", adapter, "adapter_final");
        Assert.Equal(unties, ModelMerger.Merge(source, folder, target, new MergeOptions()).IsUntied);
        var drift = MergeDrift.Measure(source, folder, target, new ModelLoadOptions(), Batch);
        Assert.InRange(drift.Largest, 0, 2e-4);
        Assert.InRange(MergeDrift.Measure(source, folder, source, new ModelLoadOptions(), Batch).Largest, 0.1, double.PositiveInfinity);
    }

    [Fact]
    public void A_fresh_one_changes_nothing_goes_to_the_reference_engine_and_has_A_zero_and_B_normal()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        using var before = model.Logits(Batch);
        Assert.Equal("fast", model.Engine.Name);
        AdapterInjector.Inject(model, new LoraSpec { Rank = 16, Targets = TargetModules.Parse(["embed_tokens"]) }, 1);
        Assert.Equal("reference", model.Engine.Name);
        using var after = model.Logits(Batch);
        Assert.InRange((before - after).abs().max().item<float>(), 0, Golden.LogitGate);
        var adapter = model.Embedding.Adapter!;
        Assert.DoesNotContain(model.Parameters.ValuesOf(adapter.A).ToArray(), value => value != 0);
        var b = model.Parameters.ValuesOf(adapter.B).ToArray();
        Assert.InRange(b.Average(), -0.15, 0.15);
        Assert.InRange(Math.Sqrt(b.Average(value => value * value)), 0.9, 1.1);
    }

    [Fact]
    public void A_copy_of_another_embedding_beside_the_adapter_is_refused_by_loading_and_merging()
    {
        foreach (var file in Directory.GetFiles(Golden.Folder("llama31"))) File.Copy(file, Path.Combine(_temp, Path.GetFileName(file)));
        using (var whole = ShardedModel.Open(_temp))
        {
            // Another base of the same shapes: its embedding differs in one row.
            var file = whole.FileOf("model.embed_tokens.weight");
            var bytes = File.ReadAllBytes(file.Path);
            var entry = file.Entry("model.embed_tokens.weight");
            var at = bytes.Length - (int)(file.Entries.Max(one => one.End) - entry.Begin);
            for (var i = 0; i < 64; i++) bytes[at + 4 * i + 3] ^= 0x80;
            File.WriteAllBytes(Path.Combine(_temp, "changed"), bytes);
            File.Move(Path.Combine(_temp, "changed"), file.Path, overwrite: true);
        }
        using var model = CausalModel.Load(_temp);
        var adapter = Golden.Folder("lora", "llama31_embedding_head", "adapter_final");
        Assert.Contains("is not the 'model.embed_tokens'", Assert.Throws<AdapterException>(() => PeftFolder.Load(model, adapter)).Message,
            StringComparison.Ordinal);
        Assert.Contains("holds a copy of 'model.embed_tokens.weight'",
            Assert.Throws<AdapterException>(() => ModelMerger.Merge(_temp, adapter, Path.Combine(_temp, "m"), new MergeOptions())).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_bias_on_B_has_no_place_on_it_and_chosen_layers_do_not_include_it()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        var spec = new LoraSpec { Rank = 2, Targets = TargetModules.Parse(["embed_tokens", "v_proj"]) };
        Assert.Contains("--lora-bias has no place on the embedding",
            Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(model, spec with { LoraBias = true }, 1)).Message, StringComparison.Ordinal);
        AdapterInjector.Inject(model, spec with { LayersToTransform = [0] }, 1);
        Assert.Null(model.Embedding.Adapter);
    }

    [Fact]
    public void The_base_alone_is_computed_where_adapters_are_off()
    {
        using var model = CausalModel.Load(Golden.Folder("gemma3"));
        using var bare = model.Logits(Batch);
        PeftFolder.Load(model, Golden.Folder("lora", "gemma3_embedding", "adapter_final"));
        using var with = model.Logits(Batch);
        model.AdaptersEnabled = false;
        using var without = model.Logits(Batch);
        Assert.InRange((bare - without).abs().max().item<float>(), 0, Golden.LogitGate);
        Assert.InRange((bare - with).abs().max().item<float>(), 0.1f, float.PositiveInfinity);
    }
}
