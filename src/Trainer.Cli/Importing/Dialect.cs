namespace Trainer.Cli.Importing;

/// <summary>How one tool names things.</summary>
/// <param name="Name">As <c>--from</c> takes it.</param>
/// <param name="Marks">Keys that give the dialect away.</param>
/// <param name="Keys">Its key to ours.</param>
/// <param name="Reasons">Keys without a counterpart, and why.</param>
internal sealed record Dialect(string Name, string[] Marks, IReadOnlyDictionary<string, string> Keys, IReadOnlyDictionary<string, string> Reasons)
{
    private const string Speed = "a speed or memory switch of its own engine; trainer decides this itself";
    private const string Place = "a logging service; metrics.jsonl and TensorBoard files are written here";

    private static readonly Dictionary<string, string> TransformersKeys = new()
    {
        ["model_name_or_path"] = "model", ["output_dir"] = "output_dir", ["per_device_train_batch_size"] = "batch_size", ["gradient_accumulation_steps"] = "gradient_accumulation_steps",
        ["learning_rate"] = "learning_rate", ["num_train_epochs"] = "epochs", ["max_steps"] = "max_steps", ["lr_scheduler_type"] = "lr_scheduler", ["warmup_ratio"] = "warmup_steps",
        ["warmup_steps"] = "warmup_steps", ["weight_decay"] = "weight_decay", ["max_grad_norm"] = "max_grad_norm", ["adam_beta1"] = "adam_beta1", ["adam_beta2"] = "adam_beta2",
        ["adam_epsilon"] = "adam_epsilon", ["seed"] = "seed", ["data_seed"] = "data_seed", ["logging_steps"] = "logging_steps", ["eval_steps"] = "eval_steps", ["save_steps"] = "save_steps",
        ["save_total_limit"] = "save_total_limit", ["resume_from_checkpoint"] = "resume", ["group_by_length"] = "group_by_length", ["report_to"] = "report_to", ["packing"] = "packing",
        ["lora_r"] = "lora_rank", ["lora_rank"] = "lora_rank", ["lora_alpha"] = "lora_alpha", ["lora_dropout"] = "lora_dropout", ["lora_target_modules"] = "target_modules",
        ["use_rslora"] = "use_rslora", ["use_dora"] = "use_dora", ["gradient_checkpointing"] = "gradient_checkpointing", ["optim"] = "optim", ["bf16"] = "bf16", ["fp16"] = "fp16",
        ["load_in_4bit"] = "load_in_4bit", ["load_in_8bit"] = "load_in_8bit", ["max_length"] = "max_seq_length", ["max_seq_length"] = "max_seq_length", ["eval_strategy"] = "eval_strategy",
    };

    private static readonly Dictionary<string, string> CommonReasons = new()
    {
        ["flash_attention"] = Speed, ["flash_attn"] = Speed, ["sdp_attention"] = Speed, ["xformers_attention"] = Speed, ["attn_implementation"] = Speed, ["tf32"] = Speed, ["deepspeed"] = Speed,
        ["fsdp"] = Speed, ["fsdp_config"] = Speed, ["dataloader_num_workers"] = Speed, ["preprocessing_num_workers"] = Speed, ["overwrite_cache"] = Speed, ["gradient_checkpointing_kwargs"] = Speed,
        ["enable_liger_kernel"] = Speed, ["use_liger_kernel"] = Speed, ["torch_compile"] = Speed, ["dataset_processes"] = Speed, ["plugins"] = Speed, ["ddp_timeout"] = Speed, ["dataset_num_proc"] = Speed,
        ["wandb_project"] = Place, ["wandb_entity"] = Place, ["wandb_name"] = Place, ["wandb_watch"] = Place, ["wandb_log_model"] = Place, ["wandb_run_id"] = Place, ["use_wandb"] = Place, ["run_name"] = Place, ["swanlab_project"] = Place,
        ["push_to_hub"] = "nothing is uploaded", ["hub_model_id"] = "nothing is uploaded", ["plot_loss"] = "report.html is always drawn", ["do_train"] = "train is what this command does",
        ["stage"] = "supervised fine-tuning is what train does", ["overwrite_output_dir"] = "an existing run is never overwritten unasked", ["model_type"] = "read from the model's config.json", ["tokenizer_type"] = "read from the model's files",
        ["trust_remote_code"] = "no code of a model is ever run", ["strict"] = "tensors are always matched strictly", ["is_llama_derived_model"] = "read from the model's config.json", ["template"] = "the model's own chat template is used; --chat-template FILE replaces it",
        ["use_peft"] = "an adapter is what train makes", ["finetuning_type"] = "an adapter is what train makes", ["train"] = "train is what this command does", ["fine_tune_type"] = "an adapter is what train makes",
    };

    public static readonly IReadOnlyList<Dialect> All =
    [
        new("axolotl", ["base_model", "micro_batch_size", "sequence_len", "datasets", "val_set_size"], With(new()
        {
            ["base_model"] = "model", ["micro_batch_size"] = "batch_size", ["num_epochs"] = "epochs", ["lr_scheduler"] = "lr_scheduler", ["optimizer"] = "optim", ["sequence_len"] = "max_seq_length",
            ["sample_packing"] = "packing", ["val_set_size"] = "eval_split", ["lora_target_linear"] = "target_linear", ["lora_modules_to_save"] = "modules_to_save", ["peft_use_rslora"] = "use_rslora",
            ["peft_use_dora"] = "use_dora", ["loraplus_lr_ratio"] = "loraplus_ratio", ["lora_model_dir"] = "adapter", ["early_stopping_patience"] = "early_stopping_patience", ["cosine_min_lr_ratio"] = "min_lr_ratio",
            ["adapter"] = "method", ["excess_length_strategy"] = "on_too_long", ["datasets"] = "datasets", ["test_datasets"] = "eval_datasets", ["train_on_inputs"] = "train_on_inputs", ["peft_layers_to_transform"] = "layers_to_transform", ["saves_per_epoch"] = "per_epoch", ["evals_per_epoch"] = "per_epoch",
        }), CommonReasons),
        new("llama-factory", ["cutoff_len", "dataset", "finetuning_type", "stage", "template"], With(new()
        {
            ["cutoff_len"] = "max_seq_length", ["lora_target"] = "target_modules", ["additional_target"] = "modules_to_save", ["loraplus_lr_ratio"] = "loraplus_ratio", ["adapter_name_or_path"] = "adapter",
            ["quantization_bit"] = "bits", ["double_quantization"] = "double_quant", ["val_size"] = "eval_split", ["dataset"] = "dataset_names", ["eval_dataset"] = "dataset_names", ["train_on_prompt"] = "train_on_inputs", ["mask_history"] = "mask_history", ["max_samples"] = "no_counterpart",
        }), CommonReasons),
        new("mlx-lm", ["iters", "lora_parameters", "num_layers", "mask_prompt", "val_batches", "steps_per_report"], new Dictionary<string, string>
        {
            ["model"] = "model", ["data"] = "data", ["batch_size"] = "batch_size", ["iters"] = "max_steps", ["learning_rate"] = "learning_rate", ["steps_per_report"] = "logging_steps", ["steps_per_eval"] = "eval_steps",
            ["save_every"] = "save_steps", ["adapter_path"] = "output_dir", ["max_seq_length"] = "max_seq_length", ["grad_checkpoint"] = "gradient_checkpointing", ["seed"] = "seed", ["num_layers"] = "num_layers",
            ["mask_prompt"] = "mask_prompt", ["lora_parameters"] = "lora_parameters", ["grad_accumulation_steps"] = "gradient_accumulation_steps", ["resume_adapter_file"] = "no_counterpart", ["optimizer"] = "optim", ["lr_schedule"] = "no_counterpart",
        }, CommonReasons),
        new("trl", ["dataset_name", "use_peft", "lora_r", "per_device_train_batch_size", "assistant_only_loss", "load_in_4bit"], With(new()
        {
            ["use_bnb_nested_quant"] = "double_quant", ["lora_modules_to_save"] = "modules_to_save", ["dataset_name"] = "data", ["eval_dataset_name"] = "no_counterpart", ["dataset_config"] = "no_counterpart", ["dataset_train_split"] = "no_counterpart", ["dataset_test_split"] = "no_counterpart", ["assistant_only_loss"] = "assistant_only", ["completion_only_loss"] = "completion_only", ["dtype"] = "dtype", ["torch_dtype"] = "dtype", ["chat_template_path"] = "chat_template",
        }), CommonReasons),
    ];

    private static Dictionary<string, string> With(Dictionary<string, string> own)
    {
        foreach (var (theirs, ours) in TransformersKeys) own.TryAdd(theirs, ours);
        return own;
    }
}
