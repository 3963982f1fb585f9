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

    [Theory]
    [InlineData("base_model: m\nmicro_batch_size: 2\nlora_r: 8\ndatasets:\n  - path: d.jsonl", "max_seq_length: 512,on_too_long: drop,gradient_accumulation_steps: 1,target_modules:", "batch_size,lora_rank")]
    [InlineData("model_name_or_path: m\nstage: sft\nfinetuning_type: lora\nlearning_rate: 1.0e-4\nmax_steps: 9", "batch_size: 8,lora_rank: 8,lr_scheduler: linear,warmup_steps: 0", "learning_rate,epochs,max_seq_length")]
    [InlineData("model: m\niters: 9\ndata: d.jsonl", "learning_rate: 1.0e-5,lora_layers: 16,lora_alpha: 160,max_grad_norm: 0,train_on: all", "max_steps,data")]
    [InlineData("model: m\niters: 9\ndata: d.jsonl\nnum_layers: -1\nlora_parameters: {rank: 4, scale: 2}", "batch_size: 4", "lora_layers,lora_alpha,lora_rank")]
    [InlineData("model_name_or_path: m\nuse_peft: true\nlora_r: 8\nload_in_4bit: true\ndataset_name: d.jsonl", "learning_rate: 2.0e-5,epochs: 3,lora_alpha: 32,lora_dropout: 0.05,double_quant: false", "lora_rank,quantize")]
    public void What_the_tool_does_by_default_is_written_out_where_trainer_would_not(string yaml, string written, string own)
    {
        using var folder = new TemporaryFolder();
        folder.File("d.jsonl", "{\"text\":\"a\"}\n");
        var lines = TrainerProgram.Run(new ProgramRun("import", folder.File("theirs.yaml", yaml)) { Directory = folder.Path }).Output.Split('\n');
        Assert.All(written.Split(','), line => Assert.Contains(lines, other => other.StartsWith(line + "  # default of ", StringComparison.Ordinal)));
        Assert.All(own.Split(','), key => Assert.DoesNotContain(lines, line => line.StartsWith(key + ":", StringComparison.Ordinal) && line.Contains("# default of", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("base_model: m\ndatasets:\n  - path: tatsu-lab/alpaca\n    type: alpaca", "tatsu-lab/alpaca", "hf download --repo-type dataset tatsu-lab/alpaca")]
    [InlineData("model_name_or_path: m\nstage: sft\ndataset: alpaca_en_demo", "alpaca_en_demo", "dataset_info.json")]
    [InlineData("model_name_or_path: m\nuse_peft: true\ndataset_name: imdb", "imdb", "local files")]
    [InlineData("model: m\niters: 3\ndata: rows.jsonl", "rows.jsonl", "there is no")]
    [InlineData("model: m\niters: 3", "data", "no data is named")]
    public void A_recipe_that_cannot_run_says_so_first(string yaml, string named, string why)
    {
        using var folder = new TemporaryFolder();
        var run = new ProgramRun("import", folder.File("theirs.yaml", yaml)) { Directory = folder.Path };
        var imported = TrainerProgram.Run(run);
        var line = imported.Output.Split('\n')[1];
        Assert.StartsWith("# not ready: ", line, StringComparison.Ordinal);
        Assert.Contains(named, line, StringComparison.Ordinal);
        Assert.Contains(why, line, StringComparison.Ordinal);
        Assert.Contains("not ready: ", imported.Error, StringComparison.Ordinal);
        Assert.False(TrainerProgram.Run(run with { Words = [.. run.Words, "--json"] }).Json().GetProperty("ready").GetBoolean());
    }

    [Fact]
    public void A_file_of_no_known_tool_is_refused()
    {
        using var folder = new TemporaryFolder();
        var fault = Assert.Single(TrainerProgram.Run("import", folder.File("x.yaml", "hello: world")).Faults(2));
        Assert.Contains("--from", fault, StringComparison.Ordinal);
    }
}
