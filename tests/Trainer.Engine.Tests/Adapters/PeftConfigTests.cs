using System.Text.Json.Nodes;
using Trainer.Adapters;
using Trainer.Adapters.Export;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Every field of PEFT 0.20's LoraConfig, with a value that is not its default, is honoured or refused by name.</summary>
[Trait("ring", "model")]
public sealed class PeftConfigTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("peft-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("megatron_config", "{\"tensor_model_parallel_size\":2}")]
    [InlineData("alora_invocation_tokens", "[5,6]")]
    [InlineData("use_qalora", "true")]
    [InlineData("monteclora_config", "{\"num_samples\":8}")]
    [InlineData("layer_replication", "[[0,2],[1,3]]")]
    [InlineData("use_bdlora", "{\"match_strict\":true}")]
    [InlineData("arrow_config", "{\"top_k\":3}")]
    [InlineData("kasa_config", "{\"beta\":0.0001}")]
    [InlineData("peft_type", "\"HIRA\"")]
    [InlineData("task_type", "\"SEQ_CLS\"")]
    [InlineData("init_lora_weights", "\"pissa_niter_16\"")]
    [InlineData("init_lora_weights", "\"corda\"")]
    [InlineData("init_lora_weights", "\"loftq\"")]
    [InlineData("init_lora_weights", "\"lora_ga\"")]
    [InlineData("init_lora_weights", "\"something_new\"")]
    [InlineData("layers_pattern", "\"h\"")]
    [InlineData("a_key_of_a_later_release", "true")]
    [InlineData("bias", "\"some\"")]
    [InlineData("rank_pattern", "{\"(\":4}")]
    [InlineData("alpha_pattern", "{\"(\":4}")]
    [InlineData("target_modules", "\"(\"")]
    public void A_key_that_is_not_honoured_is_refused_by_its_name(string key, string value)
    {
        var fault = Assert.Throws<AdapterException>(() => Read(key, value));
        Assert.Contains(key == "target_modules" ? "target-modules" : key, fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("init_lora_weights", "false")]
    [InlineData("init_lora_weights", "\"gaussian\"")]
    [InlineData("init_lora_weights", "\"eva\"")]
    [InlineData("init_lora_weights", "\"orthogonal\"")]
    [InlineData("init_lora_weights", "\"mica\"")]
    [InlineData("fan_in_fan_out", "true")]
    [InlineData("loftq_config", "{\"loftq_bits\":4}")]
    [InlineData("corda_config", "{\"corda_method\":\"ipm\"}")]
    [InlineData("lora_ga_config", "{\"direction\":\"ArB2r\"}")]
    [InlineData("velora_config", "{\"rank\":1}")]
    [InlineData("megatron_core", "\"megatron.other\"")]
    [InlineData("qalora_group_size", "32")]
    [InlineData("exclude_modules", "[]")]
    [InlineData("eva_config", "{\"rho\":2.0}")]
    [InlineData("auto_mapping", "{\"base_model_class\":\"LlamaForCausalLM\"}")]
    [InlineData("inference_mode", "false")]
    [InlineData("peft_version", "\"0.21.0\"")]
    [InlineData("layers_pattern", "[\"layers\"]")]
    [InlineData("layers_to_transform", "[]")]
    [InlineData("megatron_core", "\"megatron.core\"")]
    [InlineData("qalora_group_size", "16")]
    [InlineData("task_type", "null")]
    public void A_key_that_says_nothing_about_the_trained_adapter_loads(string key, string value)
    {
        var spec = Read(key, value).Spec;
        Assert.Equal(Read("peft_version", "null").Spec with { Init = spec.Init, Targets = spec.Targets, RankPattern = spec.RankPattern,
            AlphaPattern = spec.AlphaPattern, ModulesToSave = spec.ModulesToSave, TokenRows = spec.TokenRows, IsBFixed = spec.IsBFixed }, spec);
    }

    [Fact]
    public void Honoured_keys_reach_the_adapter()
    {
        Assert.Equal(5, Read("r", "5").Spec.Rank);
        Assert.Equal(7.5, Read("lora_alpha", "7.5").Spec.Alpha);
        Assert.Equal(0.25, Read("lora_dropout", "0.25").Spec.Dropout);
        Assert.Equal(BiasMode.All, Read("bias", "\"all\"").Spec.Bias);
        Assert.True(Read("use_rslora", "true").Spec.UseRslora);
        Assert.True(Read("use_dora", "true").Spec.UseDora);
        Assert.True(Read("lora_bias", "true").Spec.LoraBias);
        Assert.Equal(["lm_head"], Read("modules_to_save", "[\"lm_head\"]").Spec.ModulesToSave);
        Assert.Equal([1], Read("layers_to_transform", "1").Spec.LayersToTransform);
        Assert.Equal(3, Read("rank_pattern", "{\"q_proj\":3}").Spec.RankPattern.Single().Value);
        Assert.Equal(3, Read("alpha_pattern", "{\"q_proj\":3}").Spec.AlphaPattern.Single().Value);
        Assert.Equal(["o_proj"], Read("exclude_modules", "[\"o_proj\"]").Spec.Exclude!.Names);
        Assert.Equal(".*o_proj", Read("exclude_modules", "\".*o_proj\"").Spec.Exclude!.Pattern);
        Assert.True(Read("ensure_weight_tying", "true").Spec.EnsureWeightTying);
        Assert.Equal([1, 2], Assert.Single(Read("trainable_token_indices", "[1,2]").Spec.TokenRows).Value);
        Assert.Equal("lm_head", Read("trainable_token_indices", "{\"embed_tokens\":[0],\"lm_head\":[3]}").Spec.TokenRows[1].Key);
        Assert.Equal(["o_proj"], Read("target_modules", "[\"o_proj\"]").Spec.Targets.Names);
        Assert.Equal("org/name@abc", Read("revision", "\"abc\"").BaseModel);
        Assert.Equal("org/name", Read("revision", "\"main\"").BaseModel);
    }

    [Fact]
    public void An_adapter_of_another_base_is_refused_with_both_names()
    {
        using var model = CausalModel.Load(Golden.Folder("llama2"));
        var fault = Assert.Throws<AdapterException>(() => PeftFolder.Load(model, Golden.Folder("lora", "llama31_base", "adapter_init"))).Message;
        Assert.Contains("made for 'llama31'", fault, StringComparison.Ordinal);
        Assert.Contains(Golden.Folder("llama2"), fault, StringComparison.Ordinal);
        var export = Assert.Throws<AdapterException>(() => GgufAdapterExporter.Export(Golden.Folder("qwen3"),
            Golden.Folder("lora", "llama31_base", "adapter_init"), Path.Combine(_folder, "a.gguf"))).Message;
        Assert.Contains("made for 'llama31'", export, StringComparison.Ordinal);
        Assert.Contains(Golden.Folder("qwen3"), export, StringComparison.Ordinal);
    }

    [Fact]
    public void An_expression_that_takes_for_ever_is_refused_and_does_not_hang()
    {
        using var model = CausalModel.Load(Golden.Folder("llama2"));
        var fault = Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(model,
            new LoraSpec { Rank = 2, Targets = TargetModules.OfPattern("((.*)*)*!") }, 1));
        Assert.Contains("takes more than a second", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"fine_tune_type\":\"lora\",\"lora_parameters\":{\"rank\":8}}", "x", "mlx-lm adapter")]
    [InlineData("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", "model.layers.0.self_attn.q_proj.lora_a", "mlx-lm")]
    [InlineData("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", "layers.0.attn.q_proj.lora_a.weight", "torchtune")]
    [InlineData("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", "model.layers.0.self_attn.q_proj.lora_A.weight",
        "lacks PEFT's 'base_model.model.'")]
    [InlineData("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight",
        "carries an adapter's name")]
    [InlineData("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", "base_model.model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
        "wrapped twice")]
    [InlineData("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", "_fsdp_wrapped_module.base_model.model.q_proj.lora_A.weight", "name of a wrapper")]
    [InlineData("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", "lora_unet_down_blocks_0.lora_down.weight", "image models")]
    public void An_adapter_of_another_tool_is_named(string config, string tensor, string said)
    {
        File.WriteAllText(Path.Combine(_folder, PeftFolder.ConfigFile), config);
        using (var writer = SafetensorsWriter.Create(Path.Combine(_folder, PeftFolder.WeightsFile), [new TensorDeclaration(tensor, SafetensorsDtype.F32, [1])],
            SafetensorsWriter.PyTorchMetadata))
        {
            writer.Write(tensor, new byte[4]);
            writer.Complete();
        }
        using var model = CausalModel.Load(Golden.Folder("llama2"));
        Assert.Contains(said, Assert.Throws<AdapterException>(() => PeftFolder.Load(model, _folder)).Message, StringComparison.Ordinal);
        Assert.Contains(said,
            Assert.Throws<AdapterException>(() => ModelMerger.Merge(Golden.Folder("llama2"), _folder, Path.Combine(_folder, "merged"),
            new MergeOptions())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pickle_alone_is_refused_by_loading_merging_and_export()
    {
        File.WriteAllText(Path.Combine(_folder, PeftFolder.ConfigFile), """{"peft_type":"LORA","target_modules":["q_proj"]}""");
        File.WriteAllText(Path.Combine(_folder, "adapter_model.bin"), "pickle");
        using var model = CausalModel.Load(Golden.Folder("llama2"));
        foreach (var use in new Action[] { () => PeftFolder.Load(model, _folder),
            () => ModelMerger.Merge(Golden.Folder("llama2"), _folder, Path.Combine(_folder, "m"), new MergeOptions()),
            () => GgufAdapterExporter.Export(Golden.Folder("llama2"), _folder, Path.Combine(_folder, "a.gguf")) })
            Assert.Contains("never read", Assert.Throws<AdapterException>(use).Message, StringComparison.Ordinal);
    }

    private (LoraSpec Spec, string? BaseModel) Read(string key, string value)
    {
        var config =
            JsonNode.Parse("""{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["q_proj"],"base_model_name_or_path":"org/name"}""")!.AsObject();
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(Path.Combine(_folder, PeftFolder.ConfigFile), config.ToJsonString());
        return PeftFolder.ReadSpec(_folder);
    }
}
