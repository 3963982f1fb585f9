using System.Diagnostics;
using System.Text.Json;
using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Adapters;

[Trait("ring", "model")]
public sealed class PeftFolderTests : IDisposable
{
    private static readonly string[] StableKeys =
    [
        "alpha_pattern", "base_model_name_or_path", "bias", "fan_in_fan_out", "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform",
        "lora_alpha",
        "lora_dropout", "modules_to_save", "peft_type", "r", "rank_pattern", "revision", "target_modules", "task_type", "use_dora", "use_rslora",
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("peft-").FullName;

    public static TheoryData<string> Cases
        => new(Directory.GetDirectories(Golden.Folder("lora")).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Cases))]
    public void An_adapter_read_and_written_again_has_the_reference_s_bytes(string name)
    {
        // Upstream does not write these biases; ours does, so that a reload gives what was trained.
        if (name == "qwen2_bias_lora_only") return;
        // Upstream repeats the frozen embedding and head beside an adapter of one of them; ours does not.
        var stored = name.Contains("embedding", StringComparison.Ordinal) ? "adapter_init" : "adapter_final";
        using var model = LoraGoldenTests.Load(name, stored, checkpointing: true);
        var spec = PeftFolder.ReadSpec(Golden.Folder("lora", name, stored)).Spec;
        PeftFolder.Save(_folder, model, spec, "base");
        Assert.Equal(File.ReadAllBytes(Golden.Folder("lora", name, stored, PeftFolder.WeightsFile)),
            File.ReadAllBytes(Path.Combine(_folder, PeftFolder.WeightsFile)));
        Assert.Null(PeftFolder.FirstDifference(_folder, model));
    }

    [SkippableTheory]
    [InlineData(PeftFolder.ConfigFile)]
    [InlineData(PeftFolder.WeightsFile)]
    [InlineData("tokenizer.json")]
    [InlineData("chat_template.jinja")]
    public async Task A_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(string name)
    {
        Skip.If(OperatingSystem.IsWindows(), "named pipes of Unix");
        var stored = Golden.Folder("lora", "qwen2_bias_lora_only", "adapter_final");
        foreach (var file in Directory.GetFiles(stored)) File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        var path = Path.Combine(_folder, name);
        File.Delete(path);
        using (var made = Process.Start("mkfifo", [path])) await made.WaitForExitAsync();
        var reading = Task.Run(() => PeftFolder.ReadSpec(_folder));
        var fault = await Assert.ThrowsAsync<BadFileException>(() => reading.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Contains(path, fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_written_config_says_what_the_reference_s_says_in_the_old_stable_keys(string name)
    {
        using var model = LoraGoldenTests.Load(name, "adapter_final", checkpointing: true);
        var reference = Golden.Folder("lora", name, "adapter_final");
        PeftFolder.Save(_folder, model, PeftFolder.ReadSpec(reference).Spec, LoraGoldenTests.BaseOf(name));
        using var ours = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(_folder, PeftFolder.ConfigFile)));
        using var theirs = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(reference, PeftFolder.ConfigFile)));
        foreach (var property in ours.RootElement.EnumerateObject())
        {
            // Newer keys stand in a file that they say something in, and in no other.
            Assert.Contains(property.Name, property.Name is "lora_bias" or "exclude_modules" or "trainable_token_indices" ? [property.Name] : StableKeys);
            var other = theirs.RootElement.GetProperty(property.Name);
            if (property.Name == "layers_pattern") continue; // a default that upstream fills in on use
            if (property.Name == "target_modules") Assert.Equal(Names(other), Names(property.Value));
            else Assert.Equal(Compact(other), Compact(property.Value));
        }
        foreach (var key in StableKeys) Assert.True(ours.RootElement.TryGetProperty(key, out _), key);
    }

    [Fact]
    public void A_fresh_adapter_changes_nothing_and_its_A_is_uniform_within_the_bound()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Reference });
        var batch = TokenBatch.OfTokens([1, 5, 9, 200, 33]);
        using var before = model.Logits(batch);
        AdapterInjector.Inject(model, new LoraSpec { Rank = 8, Alpha = 16 }, seed: 42);
        using var after = model.Logits(batch);
        Assert.Equal(before.data<float>().ToArray(), after.data<float>().ToArray());
        Assert.Equal(3 * 7, model.Linears.Count(linear => linear.Adapter is not null));
        var bound = 1 / Math.Sqrt(64);
        var a = model.Parameters.ValuesOf(model.Linears[0].Adapter!.A).ToArray();
        Assert.All(a, value => Assert.InRange(Math.Abs(value), 0, bound));
        Assert.InRange(a.Select(value => (double)value * value).Average(), 0.8 * bound * bound / 3, 1.2 * bound * bound / 3);
        AdapterInjector.Inject(model, new LoraSpec { Rank = 8, Alpha = 16 }, seed: 42);
        Assert.Equal(a, model.Parameters.ValuesOf(model.Linears[0].Adapter!.A).ToArray());
        AdapterInjector.Inject(model, new LoraSpec { Rank = 8, Alpha = 16 }, seed: 43);
        Assert.NotEqual(a, model.Parameters.ValuesOf(model.Linears[0].Adapter!.A).ToArray());
    }

    [Theory]
    [InlineData("all-linear", 21)]
    [InlineData("q_proj,v_proj", 6)]
    [InlineData("self_attn.o_proj", 3)]
    [InlineData(@".*\.layers\.[02]\.mlp\.(gate|up)_proj", 4)]
    [InlineData("lm_head", 1)]
    public void Targets_are_all_linears_names_suffixes_or_an_expression(string targets, int expected)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        AdapterInjector.Inject(model, new LoraSpec { Rank = 2, Targets = TargetModules.Parse(targets.Split(',')) }, seed: 1);
        Assert.Equal(expected, model.Linears.Append(model.Head).Count(linear => linear.Adapter is not null));
    }

    [Fact]
    public void Names_that_match_nothing_are_refused()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        Assert.Contains("--exclude-modules 'nothing' matches no module",
            Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(model, new LoraSpec { Exclude = TargetModules.OfNames(["nothing"]) },
            1)).Message, StringComparison.Ordinal);
        var names = Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(model, new LoraSpec { Targets = TargetModules.Parse(["Wqkv"]) }, 1));
        Assert.Contains("'Wqkv' matches no module", names.Message, StringComparison.Ordinal);
        Assert.Throws<AdapterOptionException>(() => TargetModules.Parse(["("]));
        var saved = Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(model, new LoraSpec { ModulesToSave = ["score"] }, 1));
        Assert.Contains("'score'", saved.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("q_proj,v_prj", "'v_prj' matches no module; the model has q_proj")]
    [InlineData("embed_tokens,Wqkv", "'Wqkv' matches no module; the model has q_proj")]
    [InlineData(".*", "matches 'model.layers.0.input_layernorm', a norm")]
    [InlineData("q_proj,input_layernorm", "matches 'model.layers.0.input_layernorm', a norm")]
    public void One_target_among_others_that_would_adapt_nothing_is_refused(string targets, string said)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        var fault = Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(model,
            new LoraSpec { Rank = 2, Targets = TargetModules.Parse(targets.Split(',')) }, 1));
        Assert.Contains(said, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_of_another_base_is_refused_by_tensor()
    {
        using var model = CausalModel.Load(Golden.Folder("llama2"));
        var fault = Assert.Throws<AdapterException>(() => PeftFolder.Load(model, Golden.Folder("lora", "llama31_base", "adapter_init")));
        Assert.Contains("lora_", fault.Message, StringComparison.Ordinal);
        Assert.Contains("made for 'llama31'", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_with_a_missing_or_damaged_tensor_is_refused_by_name()
    {
        using var model = LoraGoldenTests.Load("llama31_base", "adapter_init", checkpointing: true);
        var spec = PeftFolder.ReadSpec(Golden.Folder("lora", "llama31_base", "adapter_init")).Spec;
        model.Parameters.ValuesOf(model.Linears[3].Adapter!.B)[5] = float.NaN;
        PeftFolder.Save(_folder, model, spec, "base");
        var nan = Assert.Throws<AdapterException>(() => PeftFolder.Load(model, _folder));
        Assert.Contains("model.layers.0.self_attn.o_proj.lora_B.weight", nan.Message, StringComparison.Ordinal);
        File.Copy(Golden.Folder("lora", "llama31_dora", "adapter_final", PeftFolder.ConfigFile), Path.Combine(_folder, PeftFolder.ConfigFile), overwrite: true);
        var missing = Assert.Throws<AdapterException>(() => PeftFolder.Load(model, _folder));
        Assert.Contains("lora_magnitude_vector", missing.Message, StringComparison.Ordinal);
    }

    private static List<string> Names(JsonElement element) => [.. element.EnumerateArray().Select(item => item.GetString()!).Order(StringComparer.Ordinal)];

    private static string Compact(JsonElement element) => JsonSerializer.Serialize(element);
}
