using Trainer.Training.Options;

namespace Trainer.Cli.Importing;

/// <summary>LLaMA-Factory's configuration (hparams of 0.9).</summary>
internal static class LlamaFactory
{
    private const string Adapter = "a LoRA adapter is what train makes";
    private const string Merges = "this is no training: 'trainer merge' and 'trainer export' write models";
    private const string TextOnly = "text alone is trained on; rows with pictures or sound are refused when they are read";

    public static readonly Dialect Dialect = new("llama-factory",
        ["cutoff_len", "dataset", "finetuning_type", "stage", "template", "dataset_dir", "lora_target"], new Dictionary<string, KeyRule>
    {
        ["cutoff_len"] = KeyRules.To(DataSettings.MaxSeqLength),
        ["lora_target"] = Transformers.Targets,
        ["additional_target"] = KeyRules.To(AdapterSettings.ModulesToSave),
        ["loraplus_lr_ratio"] = KeyRules.To(AdapterSettings.LoraPlusRatio),
        ["adapter_name_or_path"] = KeyRules.To(AdapterSettings.Adapter),
        ["create_new_adapter"] = KeyRules.Stop("a continued adapter is continued"),
        ["quantization_bit"] = (draft, key, text, _) =>
        {
            if (text is "4") draft.Set(ModelSettings.Quantize, "nf4");
            else if (text is "8") draft.Set(ModelSettings.Quantize, "int8");
            else draft.Change(key, text, "bases are held in 4 bits, 8 bits or as stored");
        },
        ["quantization_method"] = KeyRules.Only(["bnb", "bitsandbytes"], "bases are quantized as bitsandbytes does"),
        ["quantization_type"] = KeyRules.Only(["nf4"], "4-bit bases are nf4 here"),
        ["double_quantization"] = KeyRules.To(ModelSettings.DoubleQuant),
        ["val_size"] = KeyRules.To(DataSettings.EvalSplit),
        ["dataset"] = Names,
        ["eval_dataset"] = Names,
        ["dataset_dir"] = KeyRules.Drop("data takes the file or folder itself"),
        ["media_dir"] = KeyRules.Drop(TextOnly),
        ["train_on_prompt"] = KeyRules.WhenOn(draft => draft.Set(DataSettings.TrainOn, "all")),
        ["mask_history"] = KeyRules.WhenOn(draft => draft.Set(DataSettings.TrainOn, "last")),
        ["max_samples"] = (draft, key, text, _) =>
        {
            draft.Take(DataSettings.MaxSamples, key, text);
            if (draft.Theirs("eval_dataset") is not null) draft.Take(DataSettings.MaxEvalSamples, key, text);
        },
        ["neat_packing"] = KeyRules.To(DataSettings.Packing),
        ["packing"] = (draft, key, text, _) =>
        {
            // Without neat_packing its packed rows see each other; ours never do.
            draft.Take(DataSettings.Packing, key, text);
            if (ImportDraft.Truth(text) is true && draft.Theirs("neat_packing") is null)
                draft.Drop(key, text, "rows packed together never see each other here, as with neat_packing");
        },
        ["stage"] = Stage,
        ["finetuning_type"] = KeyRules.Only(["lora"], Adapter),
        ["template"] = (draft, key, text, _) =>
        {
            ImportedData.NamedTemplate(draft, key, text);
        },
        ["default_system"] = KeyRules.Stop("no system turn is added to a row"),
        ["enable_thinking"] = (draft, key, text, _) =>
        {
            if (ImportDraft.Truth(text) is true) draft.Drop(key, text, "templates that know it think where nothing is said");
            else draft.Set(DataSettings.ChatTemplateArg, new Dictionary<string, object> { ["enable_thinking"] = text });
        },
        ["early_stopping_steps"] = KeyRules.To(RunSettings.Patience),
        ["loraplus_lr_embedding"] = KeyRules.Stop("the embedding has the learning rate of the others"),
        ["buffer_size"] = KeyRules.Drop(KeyRules.Speed),
        ["compute_accuracy"] = KeyRules.Drop(KeyRules.Sets),
        ["eval_num_beams"] = KeyRules.Drop(KeyRules.Sets),
        ["train_from_scratch"] = KeyRules.Stop("a base model is never filled at random"),
        ["ignore_pad_token_for_loss"] = KeyRules.Only(["true"], "padding carries no loss"),
        ["print_param_status"] = KeyRules.Drop(KeyRules.Place),
        ["block_diag_attn"] = KeyRules.Drop("packed rows never see each other"),
        ["split_special_tokens"] = KeyRules.Stop("special tokens in a row's text are read as text already"),
        ["pissa_iter"] = KeyRules.Drop("the decomposition is exact"),
        ["pissa_convert"] = KeyRules.Drop("the saved adapter always fits the plain base"),
        ["tool_format"] = KeyRules.Drop("the template decides"),
        ["pissa_init"] = Initial,
        ["use_galore"] = KeyRules.Stop(Adapter),
        ["use_apollo"] = KeyRules.Stop(Adapter),
        ["use_badam"] = KeyRules.Stop(Adapter),
        ["use_llama_pro"] = KeyRules.Stop(Adapter),
        ["use_adam_mini"] = KeyRules.Stop("optim says which optimizer"),
        ["use_muon"] = KeyRules.Stop("optim says which optimizer"),
        ["use_asft_loss"] = KeyRules.Stop("the loss is the cross entropy"),
        ["use_dft_loss"] = KeyRules.WhenOn(draft => draft.Set(PreferenceSettings.LossType, ImportDraft.Words("dft"))),
        ["use_eaft_loss"] = KeyRules.Stop("the loss is the cross entropy"),
        ["freeze_trainable_layers"] = KeyRules.Stop(Adapter),
        ["rope_scaling"] = KeyRules.Stop("the model's config.json decides"),
        ["shift_attn"] = KeyRules.Stop("the model's config.json decides"),
        ["mixture_of_depths"] = KeyRules.Stop("the model's config.json decides"),
        ["moe_aux_loss_coef"] = KeyRules.Stop("the model's config.json says how much the routers' balance weighs"),
        ["resize_vocab"] = KeyRules.Stop(KeyRules.NewTokens),
        ["add_tokens"] = KeyRules.Stop(KeyRules.NewTokens),
        ["add_special_tokens"] = KeyRules.Stop(KeyRules.NewTokens),
        ["new_special_tokens"] = KeyRules.Stop(KeyRules.NewTokens),
        ["streaming"] = KeyRules.Drop("rows are read once into a mapped cache"),
        ["mix_strategy"] = KeyRules.Only(["concat"], "weights say how files are mixed"),
        ["interleave_probs"] = KeyRules.Stop("weights say how files are mixed"),
        ["tokenized_path"] = KeyRules.Drop("tokenized rows are kept in the cache"),
        ["disable_gradient_checkpointing"] = KeyRules.WhenOn(draft => draft.Set(StepSettings.Checkpointing, "none")),
        ["disable_shuffling"] = KeyRules.WhenOn(draft => draft.Set(DataSettings.Shuffle, false)),
        ["pure_bf16"] = KeyRules.Drop("adapters, their moments and the loss stay float32"),
        ["upcast_layernorm"] = KeyRules.Drop("norms are float32 in any case"),
        ["upcast_lmhead_output"] = KeyRules.Drop("the loss is float32 in any case"),
        ["image_max_pixels"] = KeyRules.Drop(TextOnly),
        ["video_max_pixels"] = KeyRules.Drop(TextOnly),
        ["freeze_vision_tower"] = KeyRules.Drop("the base stays frozen"),
        ["freeze_multi_modal_projector"] = KeyRules.Drop("the base stays frozen"),
        ["freeze_language_model"] = KeyRules.Stop("adapters sit on the language model"),
        ["use_reentrant_gc"] = KeyRules.Drop(KeyRules.Speed),
        ["flash_attn"] = KeyRules.Drop(KeyRules.Speed),
        ["use_kt"] = KeyRules.Drop(KeyRules.Speed),
        ["kt_config"] = KeyRules.Drop(KeyRules.Speed),
        ["kt_cpu_activation"] = KeyRules.Drop(KeyRules.Speed),
        ["use_v1_kernels"] = KeyRules.Drop(KeyRules.Speed),
        ["export_dir"] = KeyRules.Stop(Merges),
        ["export_size"] = KeyRules.Stop(Merges),
        ["export_device"] = KeyRules.Stop(Merges),
        ["export_legacy_format"] = KeyRules.Stop(Merges),
        ["export_quantization_bit"] = KeyRules.Stop(Merges),
        ["export_quantization_dataset"] = KeyRules.Stop(Merges),
        ["oft_block_size"] = KeyRules.Stop(Adapter),
        ["oft_target"] = KeyRules.Stop(Adapter),
        ["galore_target"] = KeyRules.Stop(Adapter),
        ["galore_rank"] = KeyRules.Stop(Adapter),
        ["galore_scale"] = KeyRules.Stop(Adapter),
        ["galore_layerwise"] = KeyRules.Stop(Adapter),
        ["freeze_trainable_modules"] = KeyRules.Stop(Adapter),
        ["fp8"] = KeyRules.Stop("weights are not held in 8-bit floats"),
        ["infer_backend"] = KeyRules.Stop("this is no training: 'trainer chat' and 'trainer generate' try a model"),
        ["predict_with_generate"] = KeyRules.Drop(KeyRules.Sets),
        ["do_predict"] = KeyRules.Drop("'trainer eval' reads other rows"),
        ["cache_dir"] = KeyRules.Drop("HF_HOME says where the cache is"),
    }.Concat(Preferences.LlamaFactoryKeys).ToDictionary(), Finish);

    private static void Stage(ImportDraft draft, string key, string text, YamlDotNet.RepresentationModel.YamlNode node)
    {
        if (text == "pt") draft.Set(DataSettings.TrainOn, "all");
    }

    private static void Names(ImportDraft draft, string key, string text, YamlDotNet.RepresentationModel.YamlNode node)
    {
        // Where the file of names is here, its entries are named as they stand: file, columns and number of rows come from it.
        if (draft.Theirs("dataset_dir") == "ONLINE")
        {
            draft.Set(key == "dataset" ? DataSettings.Data : DataSettings.EvalData, ImportDraft.Words(text));
            return;
        }
        var info = Path.Combine(draft.Theirs("dataset_dir") ?? "data", "dataset_info.json");
        if (File.Exists(info))
        {
            draft.Set(key == "dataset" ? DataSettings.Data : DataSettings.EvalData,
                ImportDraft.Words(text).Select(object (name) => new Dictionary<string, object> { ["path"] = info, ["subset"] = name }).ToList());
            return;
        }
        draft.Drop(key, text, "names in dataset_info.json");
        var setting = key == "dataset" ? "data" : "eval_data";
        foreach (var name in ImportDraft.Words(text))
            draft.Miss($"'{name}' is a name in LLaMA-Factory's dataset_info.json; name the file it stands for under {setting}");
    }

    private static void Initial(ImportDraft draft, string key, string text, YamlDotNet.RepresentationModel.YamlNode node)
    {
        if (ImportDraft.Truth(text) is not true) return;
        draft.Take(AdapterSettings.Init, key, "pissa");
    }

    private static void Finish(ImportDraft draft)
    {
        if (draft.Theirs("finetuning_type") is null && draft.Theirs("stage") is null && draft.Theirs("lora_rank") is null)
            draft.Miss("finetuning_type is not named; lora, its default, is what train makes");
        Preferences.LlamaFactory(draft);
        Schedules.Finish(draft, "lr_scheduler_type");
        draft.Default(StepSettings.LearningRate, 5e-5);
        draft.Default(AdapterSettings.Rank, 8.0);
        draft.Default(RunSettings.LoggingSteps, 500.0);
        Transformers.Revision(draft, "model_revision");
        Trl.TrainingArguments(draft);
        if (draft[ModelSettings.Quantize] is not "nf4") draft.Remove(ModelSettings.DoubleQuant);
    }
}
