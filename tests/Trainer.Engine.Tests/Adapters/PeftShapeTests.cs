using System.Text.Json.Nodes;
using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Engine;
using Trainer.Engine.Tests.Models;
using Trainer.Models;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Adapters in shapes that PEFT writes and few people make: whole blocks, names without a match, overlapping patterns, large ranks, modules left out.</summary>
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
        var spec = new LoraSpec { Rank = 2, RankPattern = [new("q_proj", 4), new(@"layers\.1\.self_attn\.q_proj", 6)], Targets = TargetModules.OfNames(["q_proj", "v_proj"]) };
        AdapterInjector.Inject(model, spec, seed: 1);
        PeftFolder.Save(_temp, model, spec, "llama31");
        // What we write says the same in any order.
        Assert.Equal([4, 4, 4], Ranks(PeftFolder.Load(model, _temp), model));
        Change(config => config["rank_pattern"] = new JsonObject { [@"layers\.1\.self_attn\.q_proj"] = 6, ["q_proj"] = 4 });
        Assert.Equal([4, 4, 4], Ranks(PeftFolder.Load(model, _temp), model));
        Change(config => config["alpha_pattern"] = new JsonObject { ["layers.1.self_attn.q_proj"] = 6, ["q_proj"] = 4 });
        foreach (var use in new Action[] { () => PeftFolder.Load(model, _temp), () => ModelMerger.Merge(Golden.Folder("llama31"), _temp, Path.Combine(_temp, "m"), new MergeOptions()) })
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

    private LoraSpec Saved(CausalModel model, LoraSpec spec)
    {
        PeftFolder.Save(_temp, model, spec, "llama31");
        return PeftFolder.Load(model, _temp);
    }

    private static int[] Ranks(LoraSpec spec, CausalModel model) => [.. model.Linears.Where(linear => linear.Name.EndsWith("q_proj", StringComparison.Ordinal)).Select(linear => linear.Adapter!.Rank)];

    private void Change(Action<JsonObject> change)
    {
        var path = Path.Combine(_temp, PeftFolder.ConfigFile);
        var config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(config);
        File.WriteAllText(path, config.ToJsonString());
    }
}
