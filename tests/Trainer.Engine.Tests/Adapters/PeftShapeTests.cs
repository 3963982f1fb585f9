using System.Text.Json.Nodes;
using Trainer.Adapters;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints.Inspect;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models.Lora;
using Trainer.Training;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Adapters in shapes that PEFT writes and few people make: whole blocks, names without a match, overlapping patterns, large ranks, modules left
/// out.</summary>
[Trait("ring", "model")]
public sealed class PeftShapeTests : IDisposable
{
    private readonly string _temp = Directory.CreateTempSubdirectory("peft-shape-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory]
    [InlineData("mlp", 9, 7 * 3 - 9)]
    [InlineData("self_attn", 12, 7 * 3 - 12)]
    [InlineData("layers.1", 7 + 2, 14)]
    [InlineData("norm", 7, 21)]
    public void A_block_in_modules_to_save_is_trained_whole_with_all_that_is_in_it(string block, int whole, int adapted)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        AdapterInjector.Inject(model, new LoraSpec { Rank = 2, ModulesToSave = [block] }, seed: 1);
        Assert.Equal(whole, model.Parameters.Entries.Count(entry => !entry.Name.Contains(".lora_", StringComparison.Ordinal)));
        Assert.Equal(adapted, model.Linears.Count(linear => linear.Adapter is not null));
        Assert.Equal([block], Saved(model, new LoraSpec { Rank = 2, ModulesToSave = [block] }).ModulesToSave);
    }

    [Fact]
    public void Names_in_modules_to_save_that_mean_nothing_are_passed_over_in_a_folder_and_refused_as_an_option()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        var spec = new LoraSpec { Rank = 2 };
        AdapterInjector.Inject(model, spec, seed: 1);
        PeftFolder.Save(_temp, model, spec, "llama31");
        Change(config => config["modules_to_save"] = new JsonArray("classifier", "score"));
        Assert.Empty(PeftFolder.Load(model, _temp).ModulesToSave);
        Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(model, spec with { ModulesToSave = ["score"] }, 1));
    }

    [Fact]
    public void A_rank_above_a_side_computes_what_its_merged_model_computes()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        var spec = new LoraSpec { Rank = 48, Alpha = 48, Targets = TargetModules.OfNames(["v_proj"]) };
        AdapterInjector.Inject(model, spec, seed: 1);
        foreach (var linear in model.Linears.Where(one => one.Adapter is not null)) model.Parameters.ValuesOf(linear.Adapter!.B).Fill(0.01f);
        PeftFolder.Save(Directory.CreateDirectory(Path.Combine(_temp, "a")).FullName, model, spec, "llama31");
        PeftFolder.Load(model, Path.Combine(_temp, "a"));
        ModelMerger.Merge(Golden.Folder("llama31"), Path.Combine(_temp, "a"), Path.Combine(_temp, "m"), new MergeOptions());
        using var merged = CausalModel.Load(Path.Combine(_temp, "m"));
        var batch = TokenBatch.OfTokens([3, 1, 4, 1, 5, 9, 2, 6]);
        using var here = model.Logits(batch);
        using var there = merged.Logits(batch);
        Assert.True((here - there).abs().max().item<float>() < 2e-5f);
        using var plain = CausalModel.Load(Golden.Folder("llama31"));
        using var without = plain.Logits(batch);
        Assert.True((here - without).abs().max().item<float>() > 1e-3f);
    }

    [Fact]
    public void Ranks_whose_patterns_lost_their_order_are_read_off_the_tensors_and_an_open_alpha_is_refused()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        var spec = new LoraSpec { Rank = 2, RankPattern = [new("q_proj", 4), new(@"layers\.1\.self_attn\.q_proj", 6)],
            Targets = TargetModules.OfNames(["q_proj", "v_proj"]) };
        AdapterInjector.Inject(model, spec, seed: 1);
        PeftFolder.Save(_temp, model, spec, "llama31");
        // What we write says the same in any order.
        Assert.Equal([4, 4, 4], Ranks(PeftFolder.Load(model, _temp), model));
        Change(config => config["rank_pattern"] = new JsonObject { [@"layers\.1\.self_attn\.q_proj"] = 6, ["q_proj"] = 4 });
        Assert.Equal([4, 4, 4], Ranks(PeftFolder.Load(model, _temp), model));
        Change(config => config["alpha_pattern"] = new JsonObject { ["layers.1.self_attn.q_proj"] = 6, ["q_proj"] = 4 });
        foreach (var use in new Action[] { () => PeftFolder.Load(model, _temp),
            () => ModelMerger.Merge(Golden.Folder("llama31"), _temp, Path.Combine(_temp, "m"), new MergeOptions()) })
            Assert.Contains("'model.layers.1.self_attn.q_proj' several alphas", Assert.Throws<AdapterException>(use).Message, StringComparison.Ordinal);
        // Keys out of order kept the one they were given in.
        Change(config => config["alpha_pattern"] = new JsonObject { ["q_proj"] = 4, ["layers.1.self_attn.q_proj"] = 6 });
        PeftFolder.Load(model, _temp);
    }

    [Theory]
    [InlineData("o_proj", 18)]
    [InlineData("mlp.up_proj", 18)]
    [InlineData(@".*layers\.0\..*", 14)]
    public void Modules_that_are_excluded_are_left_alone(string names, int adapted)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        var spec = new LoraSpec { Rank = 2, Exclude = TargetModules.Parse([names]) };
        AdapterInjector.Inject(model, spec, seed: 1);
        Assert.Equal(adapted, model.Linears.Count(linear => linear.Adapter is not null));
        Assert.Equal(adapted, Saved(model, spec) is { Exclude: not null } ? model.Linears.Count(linear => linear.Adapter is not null) : 0);
    }

    [Theory]
    [InlineData("llama31", "embed_tokens", false)]
    [InlineData("llama31", "embed_tokens,lm_head", false)]
    [InlineData("qwen2", "embed_tokens", true)]
    public void Trained_rows_of_tokens_compute_what_their_merged_model_computes(string name, string tables, bool isTied)
    {
        int[] ids = [3, 9, 200];
        using var model = CausalModel.Load(Golden.Folder(name));
        var spec = new LoraSpec { Rank = 2, Targets = TargetModules.OfNames(["q_proj"]),
            TokenRows = [.. tables.Split(',').Select(table => KeyValuePair.Create(table, (IReadOnlyList<int>)ids))] };
        AdapterInjector.Inject(model, spec, seed: 1);
        var batch = TokenBatch.OfTokens([3, 1, 4, 1, 5, 9, 2, 6]);
        using (var plain = CausalModel.Load(Golden.Folder(name)))
        using (var before = plain.Logits(batch))
        using (var fresh = model.Logits(batch))
            Assert.True((before - fresh).abs().max().item<float>() < 2e-5f);
        foreach (var entry in model.Parameters.Entries.Where(entry => entry.Name.EndsWith("trainable_tokens_delta", StringComparison.Ordinal)))
            model.Parameters.ValuesOf(entry).Fill(0.02f);
        var folder = Directory.CreateDirectory(Path.Combine(_temp, "a")).FullName;
        PeftFolder.Save(folder, model, spec, name);
        PeftFolder.Load(model, folder);
        var report = ModelMerger.Merge(Golden.Folder(name), folder, Path.Combine(_temp, "m"), new MergeOptions());
        Assert.False(report.IsUntied);
        using var merged = CausalModel.Load(Path.Combine(_temp, "m"));
        Assert.Equal(isTied, merged.Config.TiedEmbeddings);
        using var here = model.Logits(batch);
        using var there = merged.Logits(batch);
        Assert.True((here - there).abs().max().item<float>() < 2e-5f);
        model.AdaptersEnabled = false;
        using var without = model.Logits(batch);
        Assert.True((here - without).abs().max().item<float>() > 1e-3f);
    }

    [Theory]
    [InlineData("embed_tokens")]
    [InlineData("lm_head")]
    public void A_trained_table_that_is_tied_serves_embedding_and_head_and_stays_one_when_merged(string named)
    {
        using var model = CausalModel.Load(Golden.Folder("qwen2"));
        var spec = new LoraSpec { Rank = 2, Targets = TargetModules.OfNames(["q_proj"]), ModulesToSave = [named], EnsureWeightTying = true };
        AdapterInjector.Inject(model, spec, seed: 1);
        Assert.Same(model.Embedding.Trained, model.Head.TrainedWeight);
        model.Parameters.ValuesOf(model.Embedding.Trained!)[700] = 0.5f;
        var folder = Directory.CreateDirectory(Path.Combine(_temp, "a")).FullName;
        PeftFolder.Save(folder, model, spec, "qwen2");
        Assert.True(PeftFolder.Load(model, folder).EnsureWeightTying);
        Assert.False(ModelMerger.Merge(Golden.Folder("qwen2"), folder, Path.Combine(_temp, "m"), new MergeOptions()).IsUntied);
        using var merged = CausalModel.Load(Path.Combine(_temp, "m"));
        var batch = TokenBatch.OfTokens([3, 1, 4, 1, 5, 9, 2, 6]);
        using var here = model.Logits(batch);
        using var there = merged.Logits(batch);
        Assert.True((here - there).abs().max().item<float>() < 2e-5f);
        // Both ends of the model learn: the gradient of the table is the sum of the two.
        model.ForwardBackward(TokenBatch.OfRows([([3, 1, 4], [3, 1, 4])]), 1, new StepKey(1, 1, 1));
        Assert.NotEqual(0, model.Parameters.GradientsOf(model.Embedding.Trained!)[3 * model.Config.HiddenSize]);
        Assert.NotEqual(0, model.Parameters.GradientsOf(model.Embedding.Trained!)[200 * model.Config.HiddenSize]);
    }

    [Theory]
    [InlineData(AdapterInit.Pissa)]
    [InlineData(AdapterInit.Olora)]
    public void A_folder_that_holds_the_trained_half_alone_is_loaded_and_merged_on_the_original_base(AdapterInit init)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        var spec = new LoraSpec { Rank = 2, Alpha = 4, Init = init };
        AdapterInjector.Inject(model, spec.Doubled(), seed: 1);
        var trained = FrozenBlock.Of(false, true, model.Parameters.Entries);
        var still = model.Parameters.ValueSpan.ToArray();
        for (var i = 0; i < still.Length; i++) model.Parameters.ValueSpan[i] += 0.01f * (i % 7 - 3);
        foreach (var block in trained) block.Copy(still, model.Parameters.ValueSpan);
        var batch = TokenBatch.OfTokens([3, 1, 4, 1, 5, 9, 2, 6]);
        using var expected = model.Logits(batch);
        // What PEFT saves: the half that was trained, and the word that tells of the other.
        var entries = model.Parameters.Entries.Select(
            entry => (entry.Name, Shape: entry.Name.Contains("lora_A", StringComparison.Ordinal)
                ? (long[])[2, entry.Shape[1]] : [entry.Shape[0], 2], All: model.Parameters.ValuesOf(entry).ToArray())).ToList();
        PeftFolder.Save(_temp, model, spec, "llama31");
        using (var writer = SafetensorsWriter.Create(Path.Combine(_temp, PeftFolder.WeightsFile),
            entries.Select(entry => new TensorDeclaration(entry.Name, SafetensorsDtype.F32, entry.Shape)), SafetensorsWriter.PyTorchMetadata))
        {
            foreach (var (name, shape, all) in entries)
                writer.Write(name, System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(shape[0] == 2
                    ? all[..(all.Length / 2)] : [.. all.Where((_, i) => i % 4 < 2)]));
            writer.Complete();
        }
        Change(config => config["init_lora_weights"] = init.ToString().ToLowerInvariant());
        PeftFolder.Load(model, _temp);
        using var loaded = model.Logits(batch);
        Assert.True((expected - loaded).abs().max().item<float>() < 1e-4f);
        ModelMerger.Merge(Golden.Folder("llama31"), _temp, Path.Combine(_temp, "m"), new MergeOptions());
        using var merged = CausalModel.Load(Path.Combine(_temp, "m"));
        using var there = merged.Logits(batch);
        Assert.True((expected - there).abs().max().item<float>() < 1e-4f);
        var verdicts = ReaderRules.Judge(_temp, "llama", isTied: false);
        Assert.Equal([true, false, false], verdicts.Select(verdict => verdict.Loads));
    }

    [Theory]
    [InlineData("llama31", "embed_tokens", "embed_tokens", 5, "trained otherwise already")]
    [InlineData("llama31", "embed_tokens", "q_proj", 99999, "outside the model's vocabulary")]
    [InlineData("llama31", "wte", "q_proj", 5, "no table of tokens")]
    [InlineData("qwen2", "lm_head", "q_proj", 5, "is the embedding in this model")]
    public void Rows_that_cannot_be_trained_are_refused(string name, string table, string target, int id, string said)
    {
        using var model = CausalModel.Load(Golden.Folder(name));
        var spec = new LoraSpec { Rank = 2, Targets = TargetModules.OfNames([target, "v_proj"]),
            TokenRows = [KeyValuePair.Create(table, (IReadOnlyList<int>)[id])] };
        Assert.Contains(said, Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(model, spec, 1)).Message, StringComparison.Ordinal);
    }

    private LoraSpec Saved(CausalModel model, LoraSpec spec)
    {
        PeftFolder.Save(_temp, model, spec, "llama31");
        return PeftFolder.Load(model, _temp);
    }

    private static int[] Ranks(LoraSpec spec, CausalModel model)
        => [.. model.Linears.Where(linear => linear.Name.EndsWith("q_proj", StringComparison.Ordinal)).Select(linear => linear.Adapter!.Rank)];

    private void Change(Action<JsonObject> change)
    {
        var path = Path.Combine(_temp, PeftFolder.ConfigFile);
        var config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(config);
        File.WriteAllText(path, config.ToJsonString());
    }
}
