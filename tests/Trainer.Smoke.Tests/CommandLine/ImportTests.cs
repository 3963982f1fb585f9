namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>Configurations of other tools become recipes that train accepts, and no key is lost without a word.</summary>
[Trait("ring", "smoke")]
public sealed class ImportTests
{
    [Theory]
    [InlineData("axolotl", "base_model: m\nadapter: qlora\ndatasets:\n  - path: d.jsonl\n    type: alpaca\nsequence_len: 512\nlora_r: 8\nlora_target_linear: true\nmicro_batch_size: 2\nnum_epochs: 3\nlr_scheduler: cosine\nlearning_rate: 0.0002\noptimizer: paged_adamw_32bit\nflash_attention: true\nwarmup_ratio: 0.1\nval_set_size: 0.1\nfrobnicate: 1",
        "quantize=nf4 max_seq_length=512 lora_rank=8 batch_size=2 epochs=3 eval_split=0.1 warmup_steps=0.1 gradient_accumulation_steps=1")]
    [InlineData("llama-factory", "model_name_or_path: m\nstage: sft\nfinetuning_type: lora\nlora_rank: 8\nlora_target: all\ndataset: alpaca\ncutoff_len: 512\nquantization_bit: 4\nper_device_train_batch_size: 1\ngradient_accumulation_steps: 8\nlearning_rate: 1.0e-4\nnum_train_epochs: 3.0\nlr_scheduler_type: cosine\nbf16: true\nfrobnicate: 1",
        "quantize=nf4 max_seq_length=512 lora_rank=8 dtype=bfloat16 epochs=3 gradient_accumulation_steps=8")]
    [InlineData("mlx-lm", "model: m\ntrain: true\ndata: d.jsonl\niters: 100\nnum_layers: 4\nlora_parameters:\n  rank: 8\n  scale: 20.0\n  dropout: 0.0\nmask_prompt: false\nfrobnicate: 1",
        "max_steps=100 lora_layers=4 lora_rank=8 lora_alpha=160 train_on=all lr_scheduler=constant quantize=none")]
    [InlineData("trl", "model_name_or_path: m\ndataset_name: d.jsonl\nuse_peft: true\nlora_r: 8\nload_in_4bit: true\nuse_bnb_nested_quant: true\nassistant_only_loss: true\nmax_length: 256\nreport_to: wandb\nfrobnicate: 1",
        "quantize=nf4 double_quant=true train_on=assistant max_seq_length=256 lora_rank=8 lr_scheduler=linear")]
    public void A_configuration_becomes_a_recipe_that_train_accepts(string tool, string yaml, string expected)
    {
        using var folder = new TemporaryFolder();
        folder.File("d.jsonl", "{\"text\":\"a\"}\n");
        folder.File("m/config.json", "{}");
        var imported = TrainerProgram.Run(new ProgramRun("import", folder.File("theirs.yaml", yaml)) { Directory = folder.Path });
        Assert.Equal(0, imported.ExitCode);
        Assert.Contains("# from " + tool, imported.Output, StringComparison.Ordinal);
        Assert.Contains("frobnicate", imported.Error, StringComparison.Ordinal);
        var recipe = folder.File("ours.yaml", imported.Output);
        var effective = TrainerProgram.Run(new ProgramRun("train", recipe, "--data", "d.jsonl", "--dry-run", "--json") { Directory = folder.Path }).Json();
        foreach (var pair in expected.Split(' ').Select(pair => pair.Split('=')))
            Assert.Equal(pair[1], effective.GetProperty(pair[0]).ToString().ToLowerInvariant());
    }

    [Fact]
    public void A_file_of_no_known_tool_is_refused()
    {
        using var folder = new TemporaryFolder();
        var fault = Assert.Single(TrainerProgram.Run("import", folder.File("x.yaml", "hello: world")).Faults(2));
        Assert.Contains("--from", fault, StringComparison.Ordinal);
    }
}
