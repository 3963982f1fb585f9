namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>What hands type that learnt on TRL, axolotl, LLaMA-Factory or mlx-lm: taken where it means the same, answered where it does not.</summary>
[Trait("ring", "smoke")]
public sealed class PeerHabitTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public PeerHabitTests()
    {
        _folder.File("d.jsonl", "{\"text\":\"a\"}\n");
        _folder.File("m/config.json", "{}");
    }

    public void Dispose() => _folder.Dispose();

    private ProgramResult Dry(params string[] words)
        => TrainerProgram.RunWarm(new ProgramRun(["train", "--dry-run", "--json", .. words]) { Directory = _folder.Path });

    [Theory]
    [InlineData("trl", "--model_name_or_path m --dataset_name d.jsonl --use_peft --load_in_4bit --use_bnb_nested_quant --bnb_4bit_quant_type nf4 --lora_r 8 "
        + "--lora_alpha 16 --lora_target_modules q_proj v_proj --num_train_epochs 3.0 --per_device_train_batch_size 2 --gradient_checkpointing true --bf16 "
        + "true --fp16 false --optim adamw_torch_fused --lr_scheduler_type constant_with_warmup --report_to none --attn_implementation flash_attention_2 "
        + "--dataloader_num_workers 4 --trust_remote_code --logging_first_step",
        "lora_rank=8 epochs=3 batch_size=2 gradient_checkpointing=on dtype=bfloat16 lr_scheduler=constant quantize=nf4")]
    [InlineData("llama-factory", "--stage sft --do_train --model_name_or_path m --dataset d.jsonl --finetuning_type lora --lora_target q_proj,v_proj "
        + "--quantization_bit 4 --double_quantization true --quantization_method bitsandbytes --cutoff_len 512 --overwrite_cache --preprocessing_num_workers "
        + "16 --plot_loss --flash_attn fa2 --lr_scheduler_type warmup_stable_decay --save_strategy no --ddp_timeout 180000000",
        "max_seq_length=512 lr_scheduler=warmup-stable-decay save_steps=0 quantize=nf4")]
    [InlineData("mlx-lm", "--model m --train --data d.jsonl --iters 600 --num-layers 8 --batch-size 4 --learning-rate 1e-5 --mask-prompt --grad-checkpoint "
        + "--adapter-path adapters --save-every 50 --steps-per-eval 200 --steps-per-report 5 --fine-tune-type dora",
        "max_steps=600 lora_layers=8 save_steps=50 eval_steps=200 logging_steps=5 use_dora=true output_dir=adapters")]
    [InlineData("axolotl", "--base-model m --dataset d.jsonl --micro-batch-size 2 --sequence-len 512 --sample-packing --flash-attention true "
        + "--pad-to-sequence-len --val-set-size 0.1 --num-epochs 2 --optimizer adamw_torch",
        "batch_size=2 max_seq_length=512 packing=true eval_split=0.1 epochs=2")]
    public void A_whole_command_of_another_tool_is_taken(string tool, string words, string expected)
    {
        Assert.NotEmpty(tool);
        var effective = Dry(words.Split(' ')).Recipe();
        foreach (var pair in expected.Split(' ').Select(pair => pair.Split('=')))
            Assert.Equal(pair[1], effective.GetProperty(pair[0]).ToString().ToLowerInvariant());
    }

    [Theory]
    [InlineData("--fp16 true", "--dtype")]
    [InlineData("--per_device_eval_batch_size 4", "--batch-size")]
    [InlineData("--report-to swanlab", "swanlab convert --type tensorboard --tb-log-dir RUN/runs")]
    [InlineData("--report-to aim", "aim convert tensorboard --logdir RUN")]
    [InlineData("--wandb_project p", "WANDB_PROJECT")]
    [InlineData("--template llama3", "--chat-template")]
    [InlineData("--deepspeed ds.json", "--threads")]
    [InlineData("--finetuning_type full", "adapter")]
    [InlineData("--resume-adapter-file a.safetensors", "--adapter DIR")]
    [InlineData("--test", "trainer eval")]
    [InlineData("--push_to_hub", "--output-dir")]
    [InlineData("--dataset_name trl-lib/Capybara", "trainer download --dataset trl-lib/Capybara")]
    public void What_means_something_else_is_answered_with_what_to_do(string words, string part)
    {
        var fault = Assert.Single(Dry(["--model", "m", .. words.Contains("dataset", StringComparison.Ordinal) ? Array.Empty<string>() : ["--data", "d.jsonl"],
            .. words.Split(' ')]).Faults(2));
        Assert.Contains(words.Split(' ')[0], fault, StringComparison.Ordinal);
        Assert.Contains(part, fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("optim: adamw_torch", 0)]
    [InlineData("optimizer: adamw", 0)]
    [InlineData("optim: lion", 0)]
    [InlineData("optim: paged_adamw_8bit", 0)]
    [InlineData("optim: lion_8bit", 0)]
    [InlineData("optim: adamw_apex_fused", 0)]
    [InlineData("optim: rmsprop_bnb_8bit", 0)]
    [InlineData("optim: galore_adamw", 2)]
    public void A_recipe_may_name_the_optimizer(string line, int exitCode) =>
        Assert.Equal(exitCode == 2, Dry("--model", "m", "--data", "d.jsonl", "--config", _folder.File("r.yaml", line + "\n")).ExitCode == 2);

    [Theory]
    [InlineData("--optim paged_adamw_8bit", "optim", "adamw-8bit")]
    [InlineData("--quantize 4bit", "quantize", "nf4")]
    [InlineData("--quantize bnb.int8", "quantize", "int8")]
    [InlineData("--dtype bf16", "dtype", "bfloat16")]
    [InlineData("--random_state 3407", "seed", "3407")]
    [InlineData("--out_dir there", "output_dir", "there")]
    [InlineData("learning_rate=1e-5 batch_size=4", "learning_rate", "1E-05")]
    public void A_word_of_others_means_ours(string words, string key, string value)
    {
        var effective = Dry(["--model", "m", "--data", "d.jsonl", .. words.Split(' ')]).Recipe();
        Assert.Equal(value, effective.GetProperty(key).ToString());
    }

    [Theory]
    [InlineData("sft --model x --use_peft", "trainer train")]
    [InlineData("fuse --model x", "trainer merge")]
    [InlineData("evaluate", "trainer eval")]
    [InlineData("infer", "trainer generate")]
    [InlineData("preprocess a.yml", "trainer data check")]
    public void A_verb_of_others_is_answered_with_ours_in_one_line(string words, string ours) =>
        Assert.Contains("type: " + ours, Assert.Single(TrainerProgram.RunWarm(words.Split(' ')).Faults(2)), StringComparison.Ordinal);
}
