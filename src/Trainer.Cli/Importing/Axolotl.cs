using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>axolotl's configuration (schemas/config.py of 0.16).</summary>
internal static class Axolotl
{
    private const string OtherObjective = "objectives here are sft, dpo, kto, orpo, simpo and grpo";

    // Plugins that make the same sums faster.
    private static readonly string[] FasterPlugins = ["LigerPlugin", "CutCrossEntropyPlugin", "KernelsPlugin", "SpectrumPlugin"];

    public static readonly Dialect Dialect = new("axolotl",
        ["base_model", "micro_batch_size", "sequence_len", "datasets", "val_set_size", "adapter", "sample_packing", "pretraining_dataset", "lora_target_linear",
        "evals_per_epoch", "saves_per_epoch"], new Dictionary<string, KeyRule>
    {
        ["base_model"] = KeyRules.To(ModelSettings.Model),
        ["base_model_config"] = KeyRules.Drop(KeyRules.FromModel),
        ["base_model_ignore_patterns"] = KeyRules.Drop("only the files that are needed are fetched"),
        ["revision_of_model"] = Schedules.Later,
        ["micro_batch_size"] = KeyRules.To(StepSettings.BatchSize),
        ["batch_size"] = Schedules.Later,
        ["num_epochs"] = KeyRules.To(StepSettings.Epochs),
        ["lr_scheduler"] = Schedules.Later,
        ["cosine_min_lr_ratio"] = Schedules.Later,
        ["optimizer"] = Schedules.Optimizer,
        ["cosine_constant_lr_ratio"] = KeyRules.Stop("the cosine has no constant end"),
        ["lr_quadratic_warmup"] = KeyRules.Stop("warm-up is a straight line"),
        ["eta_min"] = KeyRules.To(StepSettings.MinLr),
        ["adam_eps"] = KeyRules.To(StepSettings.Epsilon),
        ["sequence_len"] = KeyRules.To(DataSettings.MaxSeqLength),
        ["excess_length_strategy"] = (draft, key, text, _) => draft.Take(DataSettings.OnTooLong, key, text == "raise" ? "error" : text),
        ["sample_packing"] = KeyRules.To(DataSettings.Packing),
        ["eval_sample_packing"] = KeyRules.Drop("the loss of an evaluation does not depend on it"),
        ["pad_to_sequence_len"] = KeyRules.Drop(KeyRules.Padding),
        ["max_packed_sequence_len"] = KeyRules.Stop("packed sequences are as long as max_seq_length"),
        ["curriculum_sampling"] = KeyRules.WhenOn(draft => draft.Set(DataSettings.Shuffle, false)),
        ["sample_packing_eff_est"] = KeyRules.Drop(KeyRules.Speed),
        ["sample_packing_seq_len_multiplier"] = KeyRules.Drop(KeyRules.Speed),
        ["sample_packing_sequentially"] = KeyRules.Drop(KeyRules.Speed),
        ["total_num_tokens"] = KeyRules.Drop(KeyRules.Speed),
        ["multipack_real_batches"] = KeyRules.Drop(KeyRules.Speed),
        ["pretrain_multipack_attn"] = KeyRules.Drop("packed rows never see each other"),
        ["val_set_size"] = KeyRules.To(DataSettings.EvalSplit),
        ["lora_target_linear"] = KeyRules.WhenOn(draft => draft.Set(AdapterSettings.TargetModules, "all-linear")),
        ["lora_modules_to_save"] = KeyRules.To(AdapterSettings.ModulesToSave),
        ["peft_use_rslora"] = KeyRules.To(AdapterSettings.UseRslora),
        ["peft_use_dora"] = KeyRules.To(AdapterSettings.UseDora),
        ["peft_layers_to_transform"] = KeyRules.To(AdapterSettings.LayersToTransform),
        ["peft_init_lora_weights"] = (draft, key, text, _) =>
        {
            if (ImportDraft.Truth(text) is not true) draft.Take(AdapterSettings.Init, key, text);
        },
        ["loraplus_lr_ratio"] = KeyRules.To(AdapterSettings.LoraPlusRatio),
        ["loraplus_lr_embedding"] = KeyRules.Stop("the embedding has the learning rate of the others"),
        ["lora_model_dir"] = KeyRules.To(AdapterSettings.Adapter),
        ["adapter"] = Schedules.Later,
        ["load_in_4bit"] = Schedules.Later,
        ["load_in_8bit"] = Schedules.Later,
        ["lora_fan_in_fan_out"] = KeyRules.Drop(KeyRules.FromModel),
        ["lora_on_cpu"] = KeyRules.Drop(KeyRules.Speed),
        ["lora_mlp_kernel"] = KeyRules.Drop(KeyRules.Speed),
        ["lora_qkv_kernel"] = KeyRules.Drop(KeyRules.Speed),
        ["lora_o_kernel"] = KeyRules.Drop(KeyRules.Speed),
        ["lora_embedding_kernel"] = KeyRules.Drop(KeyRules.Speed),
        ["peft_trainable_token_indices"] = KeyRules.To(AdapterSettings.TrainableTokenIndices),
        ["peft_layers_pattern"] = KeyRules.Stop("layers are those of the language model"),
        ["peft_ensure_weight_tying"] = KeyRules.Stop("a tied head follows the embedding as PEFT has it by default"),
        ["loftq_config"] = Loftq,
        ["peft"] = Loftq,
        ["bnb_config_kwargs"] = Quantization,
        ["full_finetune"] = KeyRules.Stop("an adapter is what train makes"),
        ["datasets"] = (draft, key, _, node) => ImportedData.Axolotl(draft, key, node, DataSettings.Data),
        ["test_datasets"] = (draft, key, _, node) => ImportedData.Axolotl(draft, key, node, DataSettings.EvalData),
        ["pretraining_dataset"] = KeyRules.Stop("a stream of a hub is not read: download it and name its files under data"),
        ["streaming"] = KeyRules.Stop("a stream of a hub is not read"),
        ["dataset_prepared_path"] = KeyRules.Drop("tokenized rows are kept in the cache"),
        ["skip_prepare_dataset"] = KeyRules.Drop(KeyRules.Speed),
        ["shuffle_merged_datasets"] = KeyRules.Drop("rows are shuffled each epoch"),
        ["shuffle_before_merging_datasets"] = KeyRules.Drop("rows are shuffled each epoch"),
        ["dataset_exact_deduplication"] = KeyRules.Stop("repeated rows are counted and trained on"),
        ["min_sample_len"] = KeyRules.Stop("short rows are trained on"),
        ["train_on_inputs"] = KeyRules.WhenOn(draft => draft.Set(DataSettings.TrainOn, "all")),
        ["chat_template"] = Template,
        ["chat_template_jinja"] = (draft, key, text, _) =>
        {
            if (File.Exists(text)) draft.Set(DataSettings.ChatTemplate, text);
            else draft.Change(key, text, "write it into a file and name it under chat_template");
        },
        ["dataset_keep_in_memory"] = KeyRules.Drop(KeyRules.Speed),
        ["dataset_shard_num"] = KeyRules.Stop("a part of a data set is named under data: train[:10%]"),
        ["dataset_shard_idx"] = KeyRules.Stop("a part of a data set is named under data: train[:10%]"),
        ["field_messages"] = KeyRules.Stop("columns are named under datasets"),
        ["merge_lora"] = KeyRules.Drop("'trainer merge' does it when the run has ended"),
        ["device"] = KeyRules.Drop(KeyRules.Speed),
        ["batch_flattening"] = KeyRules.Drop(KeyRules.Padding),
        ["flex_attention"] = KeyRules.Drop(KeyRules.Speed),
        ["eager_attention"] = KeyRules.Drop(KeyRules.Speed),
        ["s2_attention"] = KeyRules.Stop("attention is the model's own"),
        ["eval_sequence_len"] = KeyRules.Drop(KeyRules.Sets),
        ["experimental_skip_move_to_device"] = KeyRules.Drop(KeyRules.Speed),
        ["gemma4_hybrid_attn_impl"] = KeyRules.Drop(KeyRules.Speed),
        ["dsv4_fp4_grouped_mode"] = KeyRules.Drop(KeyRules.Speed),
        ["use_glm_dsa_kernels"] = KeyRules.Drop(KeyRules.Speed),
        ["use_dsv4_kernels"] = KeyRules.Drop(KeyRules.Speed),
        ["heads_k_stride"] = KeyRules.Drop(KeyRules.Speed),
        ["ring_attn_func"] = KeyRules.Drop(KeyRules.Speed),
        ["fp32_norms"] = KeyRules.Drop("norms are float32 in any case"),
        ["jagged_restart_steps"] = KeyRules.Stop("the schedule does not restart in the middle"),
        ["embedding_lr"] = KeyRules.Stop("the embedding has the learning rate of the others"),
        ["embedding_lr_scale"] = KeyRules.Stop("the embedding has the learning rate of the others"),
        ["use_pose"] = KeyRules.Stop("positions are those of the text"),
        ["scaling_softmax"] = KeyRules.Stop("attention is the model's own"),
        ["dynamic_checkpoint"] = KeyRules.Drop("a signal writes a checkpoint whenever it is wanted"),
        ["overrides_of_model_kwargs"] = KeyRules.Stop("the model's config.json decides"),
        ["model_quantization_config_kwargs"] = Schedules.Later,
        ["rope_scaling"] = KeyRules.Stop("the model's config.json decides"),
        ["default_system_message"] = KeyRules.Stop("no system turn is added to a row"),
        ["special_tokens"] = SpecialTokens,
        ["tokens"] = KeyRules.Stop(KeyRules.NewTokens),
        ["added_tokens_overrides"] = KeyRules.Stop("no token is renamed"),
        ["eot_tokens"] = KeyRules.Drop("the end of a turn is seen in the chat template"),
        ["resize_token_embeddings_to_32x"] = KeyRules.Drop("rows of the embedding that no token uses change nothing"),
        ["tokenizer_config"] = KeyRules.Stop("the model's own tokenizer is used"),
        ["tokenizer_legacy"] = KeyRules.Drop(KeyRules.FromModel),
        ["tokenizer_use_mistral_common"] = KeyRules.Stop("the chat template of the model's files is used"),
        ["tokenizer_save_jinja_files"] = KeyRules.Drop("the run folder holds tokenizer and template"),
        ["saves_per_epoch"] = Schedules.Later,
        ["evals_per_epoch"] = Schedules.Later,
        ["eval_table_size"] = KeyRules.Drop(KeyRules.Sets),
        ["eval_max_new_tokens"] = KeyRules.Drop(KeyRules.Sets),
        ["eval_causal_lm_metrics"] = KeyRules.Drop(KeyRules.Sets),
        ["do_causal_lm_eval"] = KeyRules.Drop(KeyRules.Sets),
        ["do_bench_eval"] = KeyRules.Drop(KeyRules.Sets),
        ["auto_resume_from_checkpoints"] = KeyRules.Drop("--resume goes on from the newest checkpoint"),
        ["loss_watchdog_threshold"] = KeyRules.Drop("a loss that is not finite ends a run in any case"),
        ["loss_watchdog_patience"] = KeyRules.Drop("a loss that is not finite ends a run in any case"),
        ["float16"] = Schedules.HalfPrecision,
        ["bfloat16"] = Schedules.BFloat16,
        ["is_llama_derived_model"] = KeyRules.Drop(KeyRules.FromModel),
        ["is_mistral_derived_model"] = KeyRules.Drop(KeyRules.FromModel),
        ["is_falcon_derived_model"] = KeyRules.Drop(KeyRules.FromModel),
        ["plugins"] = Plugins,
        ["rl"] = Schedules.Later,
        ["trl"] = (draft, key, text, _) =>
        {
            if (draft.Theirs("rl") is not ("grpo" or "gspo")) KeyRules.Stop("rl: grpo alone reads it")(draft, key, text, draft.Node(key)!);
        },
        ["reward_model"] = KeyRules.Stop(OtherObjective),
        ["process_reward_model"] = KeyRules.Stop(OtherObjective),
        ["num_labels"] = KeyRules.Stop(OtherObjective),
        ["ebft"] = KeyRules.Stop(OtherObjective),
        ["diffusion"] = KeyRules.Stop(OtherObjective),
        ["qat"] = KeyRules.Stop("weights are not quantized while they are trained"),
        ["fp8"] = KeyRules.Stop("weights are not held in 8-bit floats"),
        ["unfrozen_parameters"] = KeyRules.Stop("the base stays frozen; modules_to_save trains whole modules"),
        ["freeze_mm_modules"] = KeyRules.Drop("the base stays frozen"),
        ["relora"] = KeyRules.Stop("an adapter is never merged in between"),
        ["lisa_n_layers"] = KeyRules.Stop("an adapter is what train makes"),
        ["reinit_weights"] = KeyRules.Stop("a base model is never filled at random"),
        ["gptq"] = KeyRules.Drop(KeyRules.FromModel),
        ["gptq_disable_exllama"] = KeyRules.Drop(KeyRules.Speed),
        ["use_eaft"] = KeyRules.Stop("the loss is the cross entropy"),
        ["model_config"] = KeyRules.Stop("the model's config.json decides"),
        ["overrides_of_model_config"] = KeyRules.Stop("the model's config.json decides"),
        ["model_quantization_config"] = Stored,
        ["nvfp4_merge_aware"] = KeyRules.Stop("weights are not quantized while they are trained"),
        ["quantize_moe_experts"] = KeyRules.Drop("experts are held as the rest of the base"),
        ["llama4_linearized_experts"] = KeyRules.Drop(KeyRules.FromModel),
        ["noisy_embedding_alpha"] = KeyRules.To(StepSettings.Neftune),
        ["cut_cross_entropy"] = KeyRules.Drop(KeyRules.Speed),
        ["tiled_mlp"] = KeyRules.Drop(KeyRules.Speed),
        ["use_scattermoe"] = KeyRules.Drop(KeyRules.Speed),
        ["use_sonicmoe"] = KeyRules.Drop(KeyRules.Speed),
        ["experts_implementation"] = KeyRules.Drop(KeyRules.Speed),
        ["fused_attn_kernel"] = KeyRules.Drop(KeyRules.Speed),
        ["llmcompressor"] = KeyRules.Stop("weights are not pruned"),
        ["use_onebitllms"] = KeyRules.Stop("bases of one bit are not read"),
    }.Concat(Preferences.TrlKeys).ToDictionary(), Finish);

    private static void Finish(ImportDraft draft)
    {
        Method(draft);
        Transformers.Revision(draft, "revision_of_model");
        Pacing.Axolotl(draft);
        Preferences.Axolotl(draft);
        // A named project switches it on there.
        if ((draft.Theirs("wandb_project") is not null || ImportDraft.Truth(draft.Theirs("use_wandb") ?? "") is true)
            && draft.Theirs("wandb_mode") is not "disabled")
            draft.Set(RunSettings.ReportTo, new List<object> { "tensorboard", "html", "wandb" });
        Schedules.Finish(draft, "lr_scheduler");
        if (draft.Theirs("cosine_min_lr_ratio") is { } ratio) Schedules.Share(draft, "cosine_min_lr_ratio", ratio);
        if (draft.Theirs("batch_size") is { } rows && draft.Theirs("gradient_accumulation_steps") is null) Accumulate(draft, rows);
        draft.Default(StepSettings.BatchSize, 1.0);
        draft.Default(StepSettings.Accumulation, 1.0);
        draft.Default(DataSettings.MaxSeqLength, 512.0);
        draft.Default(DataSettings.OnTooLong, "drop");
        draft.Default(DataSettings.GroupByLength, false);
        draft.Default(AdapterSettings.TargetModules, PeftTargets);
    }

    /// <summary>What PEFT adapts in a Llama where nothing is named.</summary>
    public static readonly string[] PeftTargets = ["q_proj", "v_proj"];

    // The method says what is trained, the two switches how the base is held; each alone says half.
    private static void Method(ImportDraft draft)
    {
        var method = draft.Theirs("adapter");
        var (four, eight) = (draft.Theirs("load_in_4bit"), draft.Theirs("load_in_8bit"));
        if (method is null && draft.Theirs("lora_model_dir") is null)
            draft.Change("adapter", "none", "without it the whole model is trained, and an adapter is what train makes");
        else if (method is not (null or "lora" or "qlora")) draft.Change("adapter", method, "adapters are lora here");
        if (eight is not null && ImportDraft.Truth(eight) is true) draft.Set(ModelSettings.Quantize, "int8");
        else if (method == "qlora" || (four is not null && ImportDraft.Truth(four) is true)) draft.Set(ModelSettings.Quantize, "nf4");
        // There LoftQ itself leaves the values of a 4-bit base behind, whatever the switches say.
        if (draft[AdapterSettings.Init] is "loftq" && !draft.Has(ModelSettings.Quantize))
        {
            draft.Set(ModelSettings.Quantize, "nf4");
            draft.Default(ModelSettings.DoubleQuant, false);
        }
        draft.Default(ModelSettings.Quantize, "none");
        if (draft[ModelSettings.Quantize] is not "nf4") draft.Remove(ModelSettings.DoubleQuant);
    }

    private static void Accumulate(ImportDraft draft, string rows)
    {
        var micro = draft.Number(StepSettings.BatchSize) ?? 1;
        if (ImportDraft.TryNumber(rows, out var all) && all >= micro && all % micro == 0) draft.Set(StepSettings.Accumulation, all / micro);
        else draft.Change("batch_size", rows, "it is no multiple of micro_batch_size");
    }

    private static void Quantization(ImportDraft draft, string key, string text, YamlNode node)
    {
        if (node is not YamlMappingNode map) return;
        foreach (var (name, value) in map.Children)
        {
            var word = ImportDraft.Flat(value);
            switch (name.ToString())
            {
                case "bnb_4bit_use_double_quant" when ImportDraft.Truth(word) is { } flag: draft.Set(ModelSettings.DoubleQuant, flag); break;
                case "bnb_4bit_quant_type" when word == "nf4": break;
                case "bnb_4bit_compute_dtype": Schedules.Type(draft, $"{key}.{name}", word, value); break;
                case "llm_int8_has_fp16_weight" when ImportDraft.IsOff(word): break;
                default: draft.Change($"{key}.{name}", word, "the 4-bit base is nf4 in blocks of 64"); break;
            }
        }
    }

    // MXFP4 experts have the same values unpacked as they have packed: each is a small number times a power of two.
    private static void Stored(ImportDraft draft, string key, string text, YamlNode node)
    {
        var arguments = ImportDraft.Pairs(draft.Node("model_quantization_config_kwargs")).ToList();
        if (text == "Mxfp4Config" && arguments.TrueForAll(pair => pair.Key.ToString() == "dequantize"))
            draft.Drop(key, text, "experts in MXFP4 have the same values packed as unpacked");
        else draft.Change(key, text, "the model's config.json decides");
    }

    private static void Loftq(ImportDraft draft, string key, string text, YamlNode node)
    {
        if (ImportDraft.IsNothing(text)) return;
        var bits = draft.Theirs($"{key}.loftq_bits") ?? draft.Theirs($"{key}.loftq_config.loftq_bits") ?? "4";
        if (bits != "4") draft.Change($"{key}.loftq_bits", bits, "LoftQ makes up for a base in 4 bits");
        draft.Set(AdapterSettings.Init, "loftq");
        draft.Drop(key, text, "the base is held in nf4, as there its values are; one round is made, which fits the plain base");
    }

    private static void Template(ImportDraft draft, string key, string text, YamlNode node)
    {
        if (text.StartsWith("tokenizer_default", StringComparison.Ordinal)) draft.Drop(key, text, "the model's own chat template is used");
        else ImportedData.NamedTemplate(draft, key, text);
    }

    private static void SpecialTokens(ImportDraft draft, string key, string text, YamlNode node)
    {
        if (node is not YamlMappingNode map) return;
        foreach (var (name, value) in map.Children)
        {
            var token = ImportDraft.Flat(value);
            if (ImportDraft.IsNothing(token)) continue;
            if (name.ToString() == "pad_token") draft.Drop($"{key}.{name}", token, KeyRules.Padding);
            else if (ImportedData.IsToken(draft, name.ToString(), token) is not { } same)
                draft.Miss($"{key}.{name} is {token} there; see that the model's own is the same");
            else if (!same) draft.Change($"{key}.{name}", token, "the model's own special token is another one");
        }
    }

    private static void Plugins(ImportDraft draft, string key, string text, YamlNode node)
    {
        foreach (var plugin in ImportDraft.Words(text).Cast<string>())
        {
            if (FasterPlugins.Any(faster => plugin.EndsWith(faster, StringComparison.Ordinal))) draft.Drop(key, plugin, KeyRules.Speed);
            else if (plugin.EndsWith("SwanLabPlugin", StringComparison.Ordinal)) draft.Drop(key, plugin, KeyRules.Place);
            else draft.Change(key, plugin, "no code of a plugin is run");
        }
    }
}
