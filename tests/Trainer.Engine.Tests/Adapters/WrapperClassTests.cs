using System.Text.Json;
using Trainer.Adapters;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Adapters of multimodal bases, written for either class that the folder holds.</summary>
[Trait("ring", "model")]
public sealed class WrapperClassTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("wrapper-class-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("gemma3_wrapper", false, "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight")]
    [InlineData("gemma3_wrapper", true, "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")]
    [InlineData("qwen3_5_wrapper", false, "base_model.model.model.language_model.layers.1.self_attn.q_proj.lora_A.weight")]
    [InlineData("qwen3_5_wrapper", true, "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight")]
    public void Names_are_those_of_the_class_and_both_are_read_back(string name, bool usesTextClass, string tensor)
    {
        using var model = Load(name);
        var spec = new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames(["q_proj", "v_proj"]), UsesTextClass = usesTextClass };
        Inject(model, spec);
        int[] ids = [1, 7, 3, 9, 22, 4];
        var before = Logits(model, ids);
        PeftFolder.Save(_folder, model, spec, "base");
        Assert.Null(PeftFolder.FirstDifference(_folder, model, spec));
        // In the other class the names match nothing, which is told.
        Assert.NotNull(PeftFolder.FirstDifference(_folder, model, spec with { UsesTextClass = !usesTextClass }));
        using (var file = SafetensorsFile.Open(Path.Combine(_folder, PeftFolder.WeightsFile)))
        {
            Assert.Contains(tensor, file.Tensors.Keys);
            Assert.All(file.Tensors.Keys, key => Assert.Equal(!usesTextClass, key.Contains(".language_model.", StringComparison.Ordinal)));
        }
        using var config = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(_folder, PeftFolder.ConfigFile)));
        var targets = config.RootElement.GetProperty("target_modules");
        if (usesTextClass) Assert.Equal(["q_proj", "v_proj"], targets.EnumerateArray().Select(one => one.GetString()));
        else Assert.Contains("language_model", targets.GetString(), StringComparison.Ordinal);
        Inject(model, new LoraSpec { Rank = 1, Alpha = 1, Targets = TargetModules.OfNames(["o_proj"]) });
        PeftFolder.Load(model, _folder);
        Assert.Equal(before, Logits(model, ids));
    }

    [Fact]
    public void A_pattern_for_the_multimodal_class_becomes_the_modules_of_the_text_class()
    {
        using var model = Load("gemma3_wrapper");
        var spec = new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfPattern(@".*language_model.*layers\.[01]\..*q_proj"), UsesTextClass = true };
        Inject(model, spec);
        PeftFolder.Save(_folder, model, spec, "base");
        using var config = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(_folder, PeftFolder.ConfigFile)));
        Assert.Equal(["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj"],
            config.RootElement.GetProperty("target_modules").EnumerateArray().Select(one => one.GetString()));
    }

    private static CausalModel Load(string name)
        => CausalModel.Load(Golden.Folder(name),
            new ModelLoadOptions { Quantize = QuantizeKind.None, Compute = ComputeKind.Float32, Engine = EngineKind.Reference });

    private static void Inject(CausalModel model, LoraSpec spec)
    {
        AdapterInjector.Inject(model, spec, 1);
        foreach (var entry in model.Parameters.Entries.Where(entry => entry.Name.Contains("lora_B", StringComparison.Ordinal)))
            model.Parameters.Write(entry, [.. Enumerable.Range(0, (int)entry.Count).Select(i => 0.01f * (i % 7 - 3))]);
    }

    private static float[] Logits(CausalModel model, int[] ids)
    {
        using var logits = model.Logits(TokenBatch.OfTokens(ids));
        return logits.data<float>().ToArray();
    }
}
