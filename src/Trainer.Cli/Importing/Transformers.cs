using Trainer.Training;
using Trainer.Training.Options;
using Trainer.Training.Records;

namespace Trainer.Cli.Importing;

/// <summary>Keys of transformers' TrainingArguments, PEFT's LoraConfig and bitsandbytes, which axolotl, LLaMA-Factory, TRL and Unsloth hand on.</summary>
internal static class Transformers
{
    private const string Reads = "text alone is trained on; rows with pictures or sound are refused when they are read";

    public static readonly IReadOnlyDictionary<string, KeyRule> Keys = new Dictionary<string, KeyRule>
    {
        ["model_name_or_path"] = KeyRules.To(ModelSettings.Model),
        ["output_dir"] = KeyRules.To(RunSettings.OutputDirectory),
        ["per_device_train_batch_size"] = KeyRules.To(StepSettings.BatchSize),
        ["gradient_accumulation_steps"] = KeyRules.To(StepSettings.Accumulation),
        ["learning_rate"] = KeyRules.To(StepSettings.LearningRate),
        ["num_train_epochs"] = KeyRules.To(StepSettings.Epochs),
        ["max_steps"] = (draft, key, text, _) =>
        {
            if (text is not ("-1" or "0")) draft.Take(StepSettings.MaxSteps, key, text);
        },
        ["lr_scheduler_type"] = Schedules.Later,
        ["lr_scheduler_kwargs"] = Schedules.Later,
        ["warmup_ratio"] = Schedules.Later,
        ["warmup_steps"] = Schedules.Later,
        ["weight_decay"] = KeyRules.To(StepSettings.WeightDecay),
        ["max_grad_norm"] = KeyRules.To(StepSettings.MaxGradNorm),
        ["adam_beta1"] = KeyRules.To(StepSettings.Beta1),
        ["adam_beta2"] = KeyRules.To(StepSettings.Beta2),
        ["adam_epsilon"] = KeyRules.To(StepSettings.Epsilon),
        ["seed"] = KeyRules.To(StepSettings.Seed),
        ["data_seed"] = KeyRules.To(DataSettings.DataSeed),
        ["logging_steps"] = (draft, key, text, _) =>
        {
            if (ImportDraft.TryNumber(text, out var share) && share < 1) draft.Drop(key, text, KeyRules.Sets);
            else draft.Take(RunSettings.LoggingSteps, key, text);
        },
        ["eval_steps"] = Schedules.Later,
        ["save_steps"] = Schedules.Later,
        ["save_total_limit"] = KeyRules.To(RunSettings.SaveTotalLimit),
        ["resume_from_checkpoint"] = Resume,
        ["group_by_length"] = KeyRules.To(DataSettings.GroupByLength),
        ["report_to"] = ReportTo,
        ["packing"] = KeyRules.To(DataSettings.Packing),
        ["lora_r"] = KeyRules.To(AdapterSettings.Rank),
        ["lora_rank"] = KeyRules.To(AdapterSettings.Rank),
        ["lora_alpha"] = KeyRules.To(AdapterSettings.Alpha),
        ["lora_dropout"] = KeyRules.To(AdapterSettings.Dropout),
        ["lora_target_modules"] = Targets,
        ["use_rslora"] = KeyRules.To(AdapterSettings.UseRslora),
        ["use_dora"] = KeyRules.To(AdapterSettings.UseDora),
        ["modules_to_save"] = KeyRules.To(AdapterSettings.ModulesToSave),
        ["gradient_checkpointing"] = Checkpointing,
        ["optim"] = Schedules.Optimizer,
        ["optim_args"] = Schedules.OptimizerArguments,
        ["optim_target_modules"] = KeyRules.Stop("an optimizer has all trained tensors"),
        ["bf16"] = Schedules.BFloat16,
        ["fp16"] = Schedules.HalfPrecision,
        ["torch_dtype"] = Schedules.Type,
        ["dtype"] = Schedules.Type,
        ["load_in_4bit"] = KeyRules.WhenOn(draft => draft.Set(ModelSettings.Quantize, "nf4")),
        ["load_in_8bit"] = KeyRules.WhenOn(draft => draft.Set(ModelSettings.Quantize, "int8")),
        ["bnb_4bit_quant_type"] = KeyRules.Only(["nf4"], "4-bit bases are nf4 here"),
        ["bnb_4bit_use_double_quant"] = KeyRules.To(ModelSettings.DoubleQuant),
        ["use_bnb_nested_quant"] = KeyRules.To(ModelSettings.DoubleQuant),
        ["bnb_4bit_compute_dtype"] = Schedules.Type,
        ["max_length"] = KeyRules.To(DataSettings.MaxSeqLength),
        ["max_seq_length"] = KeyRules.To(DataSettings.MaxSeqLength),
        ["eval_strategy"] = Schedules.Later,
        ["evaluation_strategy"] = Schedules.Later,
        ["logging_strategy"] = KeyRules.Drop(KeyRules.Sets),
        ["save_strategy"] = Schedules.Later,
        ["load_best_model_at_end"] = KeyRules.To(RunSettings.LoadBest),
        ["early_stopping_patience"] = KeyRules.To(RunSettings.Patience),
        ["neftune_noise_alpha"] = KeyRules.To(StepSettings.Neftune),
        ["label_smoothing_factor"] = KeyRules.To(PreferenceSettings.LabelSmoothing),
        ["average_tokens_across_devices"] = KeyRules.Drop("a step's loss is always divided by its trained tokens"),
        ["overwrite_output_dir"] = KeyRules.Drop("an existing run is never overwritten unasked"),
        ["do_eval"] = KeyRules.Drop("held-out rows are evaluated whenever there are any"),
        ["do_train"] = KeyRules.Only(["true", "yes", "1"], "nothing is trained"),
        ["metric_for_best_model"] = (draft, key, text, _) =>
        {
            if (EvalMetric.Plain(text) != EvalMetric.Loss) draft.Take(RunSettings.MetricForBestModel, key, EvalMetric.Plain(text));
        },
        ["greater_is_better"] = (draft, key, text, _) =>
        {
            var metric = EvalMetric.Plain(draft.Theirs("metric_for_best_model") ?? EvalMetric.Loss);
            if (ImportDraft.Truth(text) != EvalMetric.IsGreaterBetter(metric))
                draft.Change(key, text, $"of {metric} {(EvalMetric.IsGreaterBetter(metric) ? "more" : "less")} is better");
        },
        ["model_max_length"] = KeyRules.To(DataSettings.MaxSeqLength),
        ["model_revision"] = Schedules.Later,
        ["lora_rank_pattern"] = Patterns(AdapterSettings.RankPattern),
        ["rank_pattern"] = Patterns(AdapterSettings.RankPattern),
        ["lora_alpha_pattern"] = Patterns(AdapterSettings.AlphaPattern),
        ["alpha_pattern"] = Patterns(AdapterSettings.AlphaPattern),
        ["lora_target_parameters"] = KeyRules.To(AdapterSettings.TargetParameters),
        ["target_parameters"] = KeyRules.To(AdapterSettings.TargetParameters),
        ["exclude_modules"] = KeyRules.To(AdapterSettings.ExcludeModules),
        ["trainable_token_indices"] = KeyRules.To(AdapterSettings.TrainableTokenIndices),
        ["lora_bias"] = KeyRules.To(AdapterSettings.LoraBias),
        ["chat_template_kwargs"] = (draft, _, _, node) => draft.Set(DataSettings.ChatTemplateArg,
            ImportDraft.Pairs(node).ToDictionary(pair => pair.Key.ToString(), object (pair) => ImportDraft.Flat(pair.Value))),
        ["adam_beta3"] = KeyRules.Stop("no optimizer here has a third moment"),
        ["router_aux_loss_coef"] = KeyRules.Stop("the model's config.json says how much the routers' balance weighs"),
        ["use_cache"] = KeyRules.Drop(KeyRules.Speed),
        ["label_names"] = KeyRules.Drop("the columns' names say which text is trained"),
        ["token"] = KeyRules.Drop("a token is taken from the environment alone"),
    };

    /// <summary>Beginnings of keys of which nothing of the job hangs, and why.</summary>
    public static readonly IReadOnlyList<(string Prefix, string Reason)> Harmless =
    [
        ("wandb", KeyRules.Wandb),
        ("use_wandb", KeyRules.Wandb),
        ("mlflow", KeyRules.Place),
        ("use_mlflow", KeyRules.Place),
        ("comet", KeyRules.Place),
        ("use_comet", KeyRules.Place),
        ("trackio", KeyRules.Place),
        ("use_trackio", KeyRules.Place),
        ("swanlab", KeyRules.Place),
        ("use_swanlab", KeyRules.Place),
        ("otel", KeyRules.Place),
        ("use_otel", KeyRules.Place),
        ("use_tensorboard", KeyRules.Place),
        ("logging_", KeyRules.Place),
        ("run_name", KeyRules.Place),
        ("project_name", KeyRules.Place),
        ("plot_loss", "report.html is always drawn"),
        ("push_", KeyRules.Uploaded),
        ("hub_", KeyRules.Uploaded),
        ("hf_use_auth_token", "a token is taken from the environment alone"),
        ("liger_", KeyRules.Speed),
        ("use_liger", KeyRules.Speed),
        ("enable_liger", KeyRules.Speed),
        ("fsdp", KeyRules.Speed),
        ("deepspeed", KeyRules.Speed),
        ("ddp", KeyRules.Speed),
        ("ray_", KeyRules.Speed),
        ("use_ray", KeyRules.Speed),
        ("flash_attn", KeyRules.Speed),
        ("flash_attention", KeyRules.Speed),
        ("flash_optimum", KeyRules.Speed),
        ("xformers", KeyRules.Speed),
        ("sdp_attention", KeyRules.Speed),
        ("attn_implementation", KeyRules.Speed),
        ("flex_attn", KeyRules.Speed),
        ("sage_attention", KeyRules.Speed),
        ("dataloader_", KeyRules.Speed),
        ("torch_compile", KeyRules.Speed),
        ("torchdistx", KeyRules.Speed),
        ("tf32", KeyRules.Speed),
        ("local_rank", KeyRules.Speed),
        ("tensor_parallel", KeyRules.Speed),
        ("context_parallel", KeyRules.Speed),
        ("sequence_parallel", KeyRules.Speed),
        ("expert_parallel", KeyRules.Speed),
        ("dp_", KeyRules.Speed),
        ("world_size", KeyRules.Speed),
        ("gpu", KeyRules.Speed),
        ("device_map", KeyRules.Speed),
        ("low_cpu_mem", KeyRules.Speed),
        ("gradient_checkpointing_kwargs", KeyRules.Speed),
        ("activation_offloading", KeyRules.Speed),
        ("preprocessing_", KeyRules.Speed),
        ("overwrite_cache", KeyRules.Speed),
        ("dataset_num_proc", KeyRules.Speed),
        ("dataset_processes", KeyRules.Speed),
        ("use_unsloth", KeyRules.Speed),
        ("use_kernels", KeyRules.Speed),
        ("accelerat", KeyRules.Speed),
        ("use_cpu", KeyRules.Speed),
        ("image_", Reads),
        ("video_", Reads),
        ("audio_", Reads),
        ("use_audio_in_video", Reads),
        ("crop_to_patches", Reads),
        ("disable_tqdm", "the screen changes nothing"),
        ("debug", "the screen changes nothing"),
        ("remove_unused_columns", "columns that nothing reads are counted and told"),
        ("trust_remote_code", "no code of a model is ever run"),
        ("strict", "tensors are always matched strictly"),
        ("model_type", KeyRules.FromModel),
        ("tokenizer_type", KeyRules.FromModel),
        ("processor_type", KeyRules.FromModel),
        ("use_fast", KeyRules.FromModel),
        ("tokenizer_use_fast", KeyRules.FromModel),
        ("save_safetensors", "safetensors is the only format"),
        ("save_only_model", "a checkpoint always holds what --resume needs; the adapter stands alone in the run folder"),
        ("save_on_each_node", KeyRules.Speed),
        ("include_num_input_tokens", KeyRules.Place),
        ("include_tokens_per_second", KeyRules.Place),
        ("eval_on_start", KeyRules.Sets),
        ("eval_delay", KeyRules.Sets),
        ("eval_on_each_dataset", KeyRules.Sets),
        ("include_effective", KeyRules.Place),
        ("save_first_step", KeyRules.Sets),
        ("batch_eval_metrics", KeyRules.Sets),
        ("include_for_metrics", KeyRules.Sets),
        ("profiler", KeyRules.Speed),
        ("profile_", KeyRules.Speed),
        ("enable_torch_profiler", KeyRules.Speed),
        ("gc_", KeyRules.Speed),
        ("torch_empty_cache", KeyRules.Speed),
        ("offload_folder", KeyRules.Speed),
        ("layer_offloading", KeyRules.Speed),
        ("max_memory", KeyRules.Speed),
        ("auto_find_batch_size", KeyRules.Speed),
        ("vllm_", "a server of its own; 'trainer serve' answers"),
        ("sglang_", "a server of its own; 'trainer serve' answers"),
        ("generation_", KeyRules.Sets),
        ("gradio_", "'trainer chat' and 'trainer serve' try a model"),
        ("eval_accumulation", KeyRules.Speed),
        ("per_device_eval_batch_size", "the loss of an evaluation does not depend on it"),
        ("eval_batch_size", "the loss of an evaluation does not depend on it"),
        ("log_", KeyRules.Place),
    ];

    private static KeyRule Patterns(Setting setting) => (draft, key, text, node) =>
    {
        var pairs = ImportDraft.Pairs(node).ToDictionary(pair => pair.Key.ToString(),
            object (pair) => ImportDraft.TryNumber(ImportDraft.Flat(pair.Value), out var number) ? number : ImportDraft.Flat(pair.Value));
        if (pairs.Count == 0) draft.Change(key, text, "it is no mapping of modules to numbers");
        else draft.Set(setting, pairs);
    };

    /// <summary>A model at a revision has both in one name here.</summary>
    public static void Revision(ImportDraft draft, string key)
    {
        if (draft.Theirs(key) is not { } revision || revision == "main" || draft[ModelSettings.Model] is not string model) return;
        if (Directory.Exists(model)) draft.Drop(key, revision, "the model is a folder here");
        else draft.Set(ModelSettings.Model, $"{model}@{revision}");
    }

    private static void Resume(ImportDraft draft, string key, string text, YamlDotNet.RepresentationModel.YamlNode node)
    {
        if (ImportDraft.Truth(text) is false) return;
        draft.Miss($"{key} names a checkpoint of another tool, which train cannot go on from: begin anew, or continue its adapter with adapter: DIR");
    }

    private static void ReportTo(ImportDraft draft, string key, string text, YamlDotNet.RepresentationModel.YamlNode node)
    {
        var kept = ImportDraft.Words(text.ToLowerInvariant()).Where(word => word is "mlflow" or "wandb").ToList();
        if (kept.Count > 0) draft.Set(RunSettings.ReportTo, new List<object>(["tensorboard", "html", .. kept]));
        else if (text is "none" or "tensorboard" or "all") draft.Take(RunSettings.ReportTo, key, text);
        else draft.Drop(key, text, KeyRules.Place);
    }

    private static void Checkpointing(ImportDraft draft, string key, string text, YamlDotNet.RepresentationModel.YamlNode node) =>
        draft.Set(StepSettings.Checkpointing, ImportDraft.Truth(text) is false ? "none" : "on");

    public static void Targets(ImportDraft draft, string key, string text, YamlDotNet.RepresentationModel.YamlNode node)
    {
        if (text is "all" or "all-linear") draft.Set(AdapterSettings.TargetModules, "all-linear");
        else if (node is YamlDotNet.RepresentationModel.YamlSequenceNode || !text.Any(letter => "*|([\\{".Contains(letter)))
            draft.Set(AdapterSettings.TargetModules, ImportDraft.Words(text));
        else draft.Set(AdapterSettings.TargetModules, text);
    }
}
