namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>Configurations of other tools become recipes that train accepts, and no key is lost without a word.</summary>
[Trait("ring", "smoke")]
public sealed class ImportTests
{
    [Theory]
    [InlineData("axolotl", "base_model: m\nadapter: qlora\ndatasets:\n  - path: d.jsonl\n    type: alpaca\nsequence_len: 512\nlora_r: 8\nlora_target_linear: "
        + "true\nmicro_batch_size: 2\nnum_epochs: 3\nlr_scheduler: cosine\nlearning_rate: 0.0002\noptimizer: paged_adamw_32bit\nflash_attention: "
        + "true\nwarmup_ratio: 0.1\nval_set_size: 0.1\nfrobnicate: 1",
        "quantize=nf4 max_seq_length=512 lora_rank=8 batch_size=2 epochs=3 eval_split=0.1 warmup_steps=0.1 gradient_accumulation_steps=1")]
    [InlineData("llama-factory", "model_name_or_path: m\nstage: sft\nfinetuning_type: lora\nlora_rank: 8\nlora_target: all\ndataset: alpaca\ncutoff_len: "
        + "512\nquantization_bit: 4\nper_device_train_batch_size: 1\ngradient_accumulation_steps: 8\nlearning_rate: 1.0e-4\nnum_train_epochs: "
        + "3.0\nlr_scheduler_type: cosine\nbf16: true\nfrobnicate: 1",
        "quantize=nf4 max_seq_length=512 lora_rank=8 dtype=bfloat16 epochs=3 gradient_accumulation_steps=8")]
    [InlineData("mlx-lm", "model: m\ntrain: true\ndata: d.jsonl\niters: 100\nnum_layers: 4\nlora_parameters:\n  rank: 8\n  scale: 20.0\n  dropout: "
        + "0.0\nmask_prompt: false\nfrobnicate: 1",
        "max_steps=100 lora_layers=4 lora_rank=8 lora_alpha=160 train_on=all lr_scheduler=constant quantize=none")]
    [InlineData("trl", "model_name_or_path: m\ndataset_name: d.jsonl\nuse_peft: true\nlora_r: 8\nload_in_4bit: true\nuse_bnb_nested_quant: "
        + "true\nassistant_only_loss: true\nmax_length: 256\nreport_to: wandb\nfrobnicate: 1",
        "quantize=nf4 double_quant=true train_on=assistant max_seq_length=256 lora_rank=8 lr_scheduler=linear")]
    public void A_configuration_becomes_a_recipe_that_train_accepts(string tool, string yaml, string expected)
    {
        using var folder = new TemporaryFolder();
        folder.File("d.jsonl", "{\"text\":\"a\"}\n");
        folder.File("m/config.json", "{}");
        var imported = TrainerProgram.RunWarm(new ProgramRun("import", folder.File("theirs.yaml", yaml), "--accept", "frobnicate") { Directory = folder.Path });
        Assert.Equal(0, imported.ExitCode);
        Assert.Contains("# from " + tool, imported.Output, StringComparison.Ordinal);
        Assert.Contains("frobnicate", imported.Error, StringComparison.Ordinal);
        var recipe = folder.File("ours.yaml", imported.Output);
        var effective = TrainerProgram.RunWarm(new ProgramRun("train", recipe, "--data", "d.jsonl", "--dry-run", "--json") { Directory = folder.Path })
            .Recipe();
        foreach (var pair in expected.Split(' ').Select(pair => pair.Split('=')))
            Assert.Equal(pair[1], effective.GetProperty(pair[0]).ToString().ToLowerInvariant());
    }

    [Theory]
    [InlineData("base_model: m\nadapter: lora\nmicro_batch_size: 2\nlora_r: 8\ndatasets:\n  - path: d.jsonl",
        "max_seq_length: 512,on_too_long: drop,gradient_accumulation_steps: 1,target_modules:", "batch_size,lora_rank")]
    [InlineData("model_name_or_path: m\nstage: sft\nfinetuning_type: lora\nlearning_rate: 1.0e-4\nmax_steps: 9",
        "batch_size: 8,lora_rank: 8,lr_scheduler: linear,warmup_steps: 0", "learning_rate,epochs,max_seq_length")]
    [InlineData("model: m\niters: 9\ndata: d.jsonl", "learning_rate: 1.0e-5,lora_layers: 16,lora_alpha: 160,max_grad_norm: 0,train_on: all", "max_steps,data")]
    [InlineData("model: m\niters: 9\ndata: d.jsonl\nnum_layers: -1\nlora_parameters: {rank: 4, scale: 2}", "batch_size: 4", "lora_layers,lora_alpha,lora_rank")]
    [InlineData("model_name_or_path: m\nuse_peft: true\nlora_r: 8\nload_in_4bit: true\ndataset_name: d.jsonl",
        "learning_rate: 2.0e-5,epochs: 3,lora_alpha: 32,lora_dropout: 0.05,double_quant: false", "lora_rank,quantize")]
    public void What_the_tool_does_by_default_is_written_out_where_trainer_would_not(string yaml, string written, string own)
    {
        using var folder = new TemporaryFolder();
        folder.File("d.jsonl", "{\"text\":\"a\"}\n");
        var lines = TrainerProgram.RunWarm(new ProgramRun("import", folder.File("theirs.yaml", yaml)) { Directory = folder.Path }).Output.Split('\n');
        Assert.All(written.Split(','), line => Assert.Contains(lines, other => other.StartsWith(line + "  # default of ", StringComparison.Ordinal)));
        Assert.All(own.Split(','), key => Assert.DoesNotContain(lines,
            line => line.StartsWith(key + ":", StringComparison.Ordinal) && line.Contains("# default of", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("base_model: m\nadapter: lora\ndatasets:\n  - path: tatsu-lab/alpaca", "tatsu-lab/alpaca", "trainer download --dataset tatsu-lab/alpaca")]
    [InlineData("model_name_or_path: m\nstage: sft\ndataset: alpaca_en_demo", "alpaca_en_demo", "dataset_info.json")]
    [InlineData("model_name_or_path: m\nuse_peft: true\ndataset_name: imdb", "imdb", "trainer download --dataset imdb")]
    [InlineData("model: m\niters: 3\ndata: rows.jsonl", "rows.jsonl", "there is no")]
    [InlineData("model: m\niters: 3", "data", "no data is named")]
    public void A_recipe_that_cannot_run_says_so_first(string yaml, string named, string why)
    {
        using var folder = new TemporaryFolder();
        var run = new ProgramRun("import", folder.File("theirs.yaml", yaml)) { Directory = folder.Path };
        var imported = TrainerProgram.RunWarm(run);
        var line = imported.Output.Split('\n')[1];
        Assert.StartsWith("# not ready: ", line, StringComparison.Ordinal);
        Assert.Contains(named, line, StringComparison.Ordinal);
        Assert.Contains(why, line, StringComparison.Ordinal);
        Assert.Contains("not ready: ", imported.Error, StringComparison.Ordinal);
        Assert.False(TrainerProgram.RunWarm(run with { Words = [.. run.Words, "--json"] }).Json().GetProperty("ready").GetBoolean());
    }

    [Fact]
    public void A_file_of_no_known_tool_is_refused()
    {
        using var folder = new TemporaryFolder();
        var fault = Assert.Single(TrainerProgram.RunWarm("import", folder.File("x.yaml", "hello: world")).Faults(2));
        Assert.Contains("--from", fault, StringComparison.Ordinal);
    }

    /// <summary>One key a line: what the tool means, by our names; each line was worked out by hand from the tool's own documents.</summary>
    [Theory]
    [InlineData("axolotl", "adapter: lora\nload_in_8bit: true", "quantize: int8")]
    [InlineData("axolotl", "load_in_8bit: true\nadapter: lora", "quantize: int8")]
    [InlineData("axolotl", "adapter: lora\nload_in_4bit: true", "quantize: nf4")]
    [InlineData("axolotl", "adapter: lora\ncosine_min_lr_ratio: 0.1\nlearning_rate: 0.0002\nlr_scheduler: cosine", "min_lr: 2.0e-5|lr_scheduler: cosine")]
    [InlineData("axolotl", "adapter: lora\nload_in_4bit: false\npeft: {loftq_config: {loftq_bits: 4}}", "init_lora: loftq|quantize: nf4|double_quant: false")]
    [InlineData("axolotl", "adapter: lora\nbatch_size: 8\nmicro_batch_size: 2", "gradient_accumulation_steps: 4|batch_size: 2")]
    [InlineData("axolotl", "adapter: lora\noptimizer: adamw_bnb_8bit\nwarmup_ratio: 0.03\nwarmup_steps: 10", "optim: adamw-8bit|warmup_steps: 10")]
    [InlineData("axolotl", "adapter: lora\ntrain_on_inputs: true\nsample_packing: true\nexcess_length_strategy: raise",
        "train_on: all|packing: true|on_too_long: error")]
    [InlineData("axolotl", "adapter: qlora\noutput_dir: \"1.10\"", "output_dir: \"1.10\"")]
    [InlineData("llama-factory", "stage: pt\nfinetuning_type: lora\ndisable_shuffling: true", "train_on: all|shuffle: false")]
    [InlineData("llama-factory", "stage: sft\nfinetuning_type: lora\nmask_history: true\nquantization_bit: 8", "train_on: last|quantize: int8")]
    [InlineData("llama-factory", "stage: sft\nfinetuning_type: lora\nlr_scheduler_type: constant\nwarmup_ratio: 0.1", "lr_scheduler: constant|warmup_steps: 0")]
    [InlineData("trl", "use_peft: true\nlr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 1.0e-5}", "lr_scheduler: cosine|min_lr: 1.0e-5")]
    [InlineData("trl", "use_peft: true\ncompletion_only_loss: false\nsave_strategy: \"no\"", "train_on: all|save_steps: 0")]
    [InlineData("llama-factory", "stage: dpo\nfinetuning_type: lora\npref_beta: 0.2\npref_loss: sigmoid\npref_ftx: 0.1",
        "objective: dpo|beta: 0.2|pref_ftx: 0.1|loss_type:|  - sigmoid")]
    [InlineData("llama-factory", "stage: dpo\nfinetuning_type: lora\ndpo_label_smoothing: 0.1",
        "objective: dpo|label_smoothing: 0.1|loss_type:|  - conservative")]
    [InlineData("llama-factory", "stage: dpo\nfinetuning_type: lora\npref_loss: simpo\nsimpo_gamma: 1.2", "objective: simpo|simpo_gamma: 1.2")]
    [InlineData("llama-factory", "stage: dpo\nfinetuning_type: lora\npref_loss: orpo", "objective: orpo|loss_type:|  - llamafactory")]
    [InlineData("llama-factory", "stage: kto\nfinetuning_type: lora\nkto_chosen_weight: 2", "objective: kto|desirable_weight: 2")]
    [InlineData("axolotl", "adapter: lora\nrl: dpo\nrl_beta: 0.3", "objective: dpo|beta: 0.3|loss_type:|  - sigmoid")]
    [InlineData("axolotl", "adapter: lora\nrl: grpo\ntrl: {beta: 0.04, num_generations: 4, max_completion_length: 128, use_vllm: true, vllm_mode: colocate, "
        + "loss_type: dr_grpo, scale_rewards: false, reward_funcs: [r.f], reward_weights: [1.0]}",
        "objective: grpo|beta: 0.04|num_generations: 4|max_completion_length: 128|scale_rewards: none|loss_type:|  - dr-grpo|reward_weights:")]
    [InlineData("axolotl", "adapter: lora\nrl: gspo\ntrl: {num_generations: 4}", "objective: grpo|importance_sampling_level: sequence")]
    [InlineData("trl", "use_peft: true\nnum_generations: 16\nepsilon_high: 0.28\nmask_truncated_completions: true\nnum_iterations: 2\nlog_completions: true",
        "objective: grpo|num_generations: 16|epsilon_high: 0.28|mask_truncated_completions: true|num_iterations: 2")]
    [InlineData("axolotl", "adapter: lora\nrl: ipo", "objective: dpo|loss_type:|  - ipo")]
    [InlineData("axolotl", "adapter: lora\nrl: simpo\nsimpo_gamma: 1.5\ncpo_alpha: 0", "objective: simpo|simpo_gamma: 1.5|nll_weight: 0")]
    [InlineData("axolotl", "adapter: lora\nrl: orpo\norpo_alpha: 0.2", "objective: orpo|beta: 0.2|loss_type:|  - trl")]
    [InlineData("axolotl", "adapter: lora\nrl: kto\nkto_undesirable_weight: 0.5", "objective: kto|undesirable_weight: 0.5")]
    [InlineData("trl", "use_peft: true\nloss_type: [sigmoid, sft]\nloss_weights: [1.0, 0.5]\nbeta: 0.2\nprecompute_ref_log_probs: true",
        "objective: dpo|beta: 0.2|precompute_reference: true|learning_rate: 1.0e-6")]
    [InlineData("trl", "use_peft: true\nno_remove_unused_columns: true\nno_packing: true\nno_gradient_checkpointing: true",
        "packing: false|gradient_checkpointing: none")]
    [InlineData("trl", "use_peft: true\ndesirable_weight: 1.5", "objective: kto|desirable_weight: 1.5")]
    [InlineData("mlx-lm", "iters: 100\ngrad_accumulation_steps: 4\nsave_every: 40", "max_steps: 25|save_steps: 10|gradient_accumulation_steps: 4")]
    [InlineData("mlx-lm", "iters: 100\noptimizer: adamw\noptimizer_config: {adamw: {betas: [0.8, 0.95], eps: 1.0e-6}}",
        "weight_decay: 0.01|adam_beta1: 0.8|adam_beta2: 0.95|adam_epsilon: 1.0e-6")]
    [InlineData("mlx-lm", "iters: 110\nlr_schedule: {name: cosine_decay, warmup: 10, arguments: [1.0e-4, 100, 1.0e-6]}",
        "lr_scheduler: cosine|learning_rate: 0.0001|min_lr: 1.0e-6|warmup_steps: 10")]
    [InlineData("unsloth", "model_name: m\nr: 16\nrandom_state: 3407\nuse_gradient_checkpointing: unsloth",
        "lora_rank: 16|seed: 3407|gradient_checkpointing: \"on\"|quantize: nf4|lora_alpha: 16")]
    public void A_key_keeps_its_meaning(string tool, string yaml, string lines)
    {
        using var folder = new TemporaryFolder();
        var name = tool switch { "axolotl" => "base_model: m\n", "llama-factory" or "trl" => "model_name_or_path: m\n", "mlx-lm" => "model: m\n", _ => "" };
        var imported = TrainerProgram.RunWarm(new ProgramRun("import", folder.File("theirs.yaml", name + yaml)) { Directory = folder.Path });
        Assert.Contains("# from " + tool, imported.Output, StringComparison.Ordinal);
        var recipe = imported.Output.Split('\n').Select(line => line.Split("  # default")[0]).ToList();
        Assert.All(lines.Split('|'), line => Assert.Contains(line, recipe));
    }

    [Theory]
    [InlineData("base_model: m\ndatasets: []\nlearning_rate: 2.0e-5", "adapter", "the whole model is trained")]
    [InlineData("base_model: m\nadapter: lora\ndatasets: []\nrl: grpo\ntrl: {delta: 2}", "trl.delta", "no upper bound")]
    [InlineData("model: {_component_: torchtune.models.qwen2_5.qwen2_5_3b}\noptimizer: {_component_: torch.optim.AdamW, lr: 2.0e-5}\ndataset: "
        + "{_component_: torchtune.datasets.chat_dataset, source: a/b, conversation_style: openai}", "model._component_", "the whole model is trained")]
    [InlineData("model: {_component_: torchtune.models.phi3.lora_phi3_mini, lora_attn_modules: [q_proj]}\noptimizer: {_component_: torch.optim.AdamW}\n"
        + "dataset: {_component_: torchtune.datasets.chat_dataset, source: a/b}", "model._component_", "another place")]
    [InlineData("model: {_component_: torchtune.models.llama3.lora_llama3_8b, lora_attn_modules: [q_proj]}\noptimizer: {_component_: torch.optim.SGD}\n"
        + "dataset: {_component_: my.own_dataset}\nkd_ratio: 0.5\nloss: {_component_: torchtune.rlhf.loss.IPOLoss}", "kd_ratio", "no teacher")]
    [InlineData("model: {_component_: torchtune.models.llama3.llama3_8b}\ncheckpointer: {_component_: torchtune.training.FullModelHFCheckpointer}\n"
        + "tasks: [a]", "optimizer", "nothing is trained")]
    [InlineData("model: m\ntrain_dataset: d.jsonl\npeft_config: {name: freeze}\noptim_config: {name: muon}", "peft_config.name", "LoRA adapter")]
    [InlineData("model: m\ntrain_dataset: d.jsonl\nkernel_config: {name: auto}", "peft_config", "the whole model is trained")]
    [InlineData("model: m\npeft_config: {name: lora, adapter_name_or_path: a, export_dir: b}", "peft_config.export_dir", "no training")]
    [InlineData("base_model: m\nadapter: lora\ndatasets: []\nloftq_config: {loftq_bits: 2}", "loftq_config.loftq_bits", "4 bits")]
    [InlineData("base_model: m\nadapter: lora\ndatasets: []\nrl: gdpo", "rl", "added before they are compared")]
    [InlineData("model_name_or_path: m\nuse_peft: true\nnum_generations: 4\nloss_type: cispo", "loss_type", "grpo has dapo, grpo, dr-grpo, bnpo")]
    [InlineData("model_name_or_path: m\nuse_peft: true\nnum_generations: 4\nsteps_per_generation: 8", "steps_per_generation", "anew for each step")]
    [InlineData("base_model: m\nadapter: lora\ndatasets:\n  - {path: d.jsonl, type: pygmalion}", "datasets.type", "messages")]
    [InlineData("base_model: m\nadapter: lora\ndatasets: []\nlr_scheduler: rex", "lr_scheduler", "schedules here are")]
    [InlineData("base_model: m\nadapter: lora\ndatasets: []\nsequence_len: long", "sequence_len", "not a number")]
    [InlineData("model_name_or_path: m\nstage: ppo\nfinetuning_type: lora", "stage", "no reward is learnt")]
    [InlineData("model_name_or_path: m\nstage: dpo\nfinetuning_type: lora\npref_loss: kto_pair", "pref_loss", "sigmoid, hinge, ipo")]
    [InlineData("model_name_or_path: m\nstage: dpo\nfinetuning_type: lora\npref_loss: ipo\ndpo_label_smoothing: 0.1", "dpo_label_smoothing",
        "does not read it")]
    [InlineData("model_name_or_path: m\nuse_peft: true\nloss_type: exotic", "loss_type", "dpo has sigmoid")]
    [InlineData("model_name_or_path: m\nstage: sft\nfinetuning_type: full", "finetuning_type", "adapter is what train makes")]
    [InlineData("model_name_or_path: m\ndataset_name: d.jsonl\nper_device_train_batch_size: 2", "use_peft", "the whole model is trained")]
    [InlineData("model_name_or_path: m\nuse_peft: true\nlr_scheduler_type: greedy", "lr_scheduler_type", "schedules here are")]
    [InlineData("model: m\niters: 9\nfine_tune_type: full", "fine_tune_type", "an adapter")]
    [InlineData("model: m\niters: 1000\nlr_schedule: {name: cosine_decay, arguments: [1.0e-4, 50]}", "lr_schedule.arguments", "ends with the run")]
    public void What_would_be_another_job_stops_the_import(string yaml, string key, string why)
    {
        using var folder = new TemporaryFolder();
        var run = new ProgramRun("import", folder.File("theirs.yaml", yaml)) { Directory = folder.Path };
        var refused = TrainerProgram.RunWarm(run);
        Assert.Contains(refused.Faults(2), fault => fault.StartsWith(key + ": ", StringComparison.Ordinal) && fault.Contains(why, StringComparison.Ordinal));
        Assert.Empty(refused.Output);
        Assert.Equal(0, TrainerProgram.RunWarm(run with { Words = [.. run.Words, "--accept", "all"] }).ExitCode);
    }

    [Theory]
    [InlineData("checkpoint_dir: checkpoints/a\nlora_r: 8\nprecision: bf16-true", "litgpt")]
    public void A_tool_that_is_not_read_is_named(string yaml, string tool)
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(tool, Assert.Single(TrainerProgram.RunWarm("import", folder.File("x.yaml", yaml)).Faults(2)), StringComparison.Ordinal);
    }

    [Fact]
    public void Training_with_another_tool_s_configuration_names_the_import()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("their own.yaml", "base_model: m\nadapter: lora\ndatasets:\n  - path: d.jsonl\nmicro_batch_size: 2");
        var fault = Assert.Single(TrainerProgram.RunWarm("train", path).Faults(2));
        Assert.Contains("axolotl", fault, StringComparison.Ordinal);
        Assert.Contains($"trainer import '{path}'", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_that_mlx_puts_into_a_chat_become_turns_here_too()
    {
        using var folder = new TemporaryFolder();
        folder.File("rows/train.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n");
        var model = Path.Combine(TrainerProgram.Repository, "configs", "tiny-model");
        var imported = TrainerProgram.RunWarm(new ProgramRun("import", folder.File("x.yaml", $"model: {model}\ndata: rows\niters: 3\nmask_prompt: true"),
            "--json") { Directory = folder.Path }).Json();
        Assert.Equal("""[{"path":"rows","columns":{"instruction":"prompt","output":"completion"}}]""",
            imported.GetProperty("recipe").GetProperty("data").GetRawText().Replace(" ", "").ReplaceLineEndings(""));
        var shown = TrainerProgram.RunWarm(new ProgramRun("data", "show", "--model", model, "--data", "rows,instruction=prompt,output=completion",
            "--json") { Directory = folder.Path });
        Assert.Contains("<|im_start|>user\\na<|im_end|>", shown.Output, StringComparison.Ordinal);
    }
}
