using Trainer.Cli.Options;
using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>LLaMA-Factory's v1 configuration (its own trainers of 1.0, which share no key with 0.9's by meaning alone).</summary>
internal static class LlamaFactoryV1
{
    private const string Name = "llama-factory-v1";
    private const string Adapter = "a LoRA adapter is what train makes";
    private const string Merges = "this is no training: 'trainer merge' and 'trainer export' write models";
    private static readonly string[] Preferred = ["pref_loss", "pref_beta", "pref_ftx", "simpo_gamma", "dpo_label_smoothing"];

    private static readonly Dictionary<string, KeyRule> Peft = new()
    {
        ["name"] = KeyRules.Only(["lora"], Adapter),
        ["r"] = KeyRules.To(AdapterSettings.Rank),
        ["lora_alpha"] = KeyRules.To(AdapterSettings.Alpha),
        ["lora_dropout"] = KeyRules.To(AdapterSettings.Dropout),
        ["target_modules"] = Transformers.Targets,
        ["use_rslora"] = KeyRules.To(AdapterSettings.UseRslora),
        ["use_dora"] = KeyRules.To(AdapterSettings.UseDora),
        ["modules_to_save"] = KeyRules.To(AdapterSettings.ModulesToSave),
        ["adapter_name_or_path"] = KeyRules.To(AdapterSettings.Adapter),
        ["export_dir"] = KeyRules.Stop(Merges),
        ["export_size"] = KeyRules.Stop(Merges),
        ["export_hub_model_id"] = KeyRules.Stop(Merges),
        ["export_legacy_format"] = KeyRules.Stop(Merges),
        ["infer_dtype"] = KeyRules.Drop(KeyRules.Speed),
        ["freeze_trainable_layers"] = KeyRules.Stop(Adapter),
        ["freeze_trainable_modules"] = KeyRules.Stop(Adapter),
        ["freeze_extra_modules"] = KeyRules.Stop(Adapter),
        ["cast_trainable_params_to_fp32"] = KeyRules.Drop("adapters, their moments and the loss stay float32"),
    };

    private static readonly Dictionary<string, KeyRule> Quantization = new()
    {
        ["name"] = KeyRules.Only(["bnb", "auto"], "bases are quantized as bitsandbytes does"),
        ["quantization_bit"] = Schedules.Later,
        ["double_quantization"] = Schedules.Later,
        ["quantization_type"] = KeyRules.Only(["nf4"], "4-bit bases are nf4 here"),
        ["compute_dtype"] = Schedules.Type,
    };

    public static readonly Dialect Dialect = new(Name, [], new Dictionary<string, KeyRule>
    {
        ["model"] = KeyRules.To(ModelSettings.Model),
        ["model_class"] = KeyRules.Only(["llm"], "language models are what train adapts"),
        ["custom_chat_template"] = KeyRules.Stop("write it into a file and name it under chat_template"),
        ["flash_attn"] = KeyRules.Drop(KeyRules.Speed),
        ["init_config"] = KeyRules.Drop(KeyRules.Speed),
        ["kernel_config"] = KeyRules.Drop(KeyRules.Speed),
        ["peft_config"] = KeyRules.Inside(Name, Peft),
        ["quant_config"] = KeyRules.Inside(Name, Quantization),
        ["train_dataset"] = (draft, key, text, _) => Data(draft, key, text, DataSettings.Data),
        ["eval_dataset"] = (draft, key, text, _) => Data(draft, key, text, DataSettings.EvalData),
        ["output_dir"] = KeyRules.To(RunSettings.OutputDirectory),
        ["micro_batch_size"] = KeyRules.To(StepSettings.BatchSize),
        ["global_batch_size"] = Schedules.Later,
        ["cutoff_len"] = KeyRules.To(DataSettings.MaxSeqLength),
        ["learning_rate"] = KeyRules.To(StepSettings.LearningRate),
        ["num_train_epochs"] = KeyRules.To(StepSettings.Epochs),
        ["max_steps"] = Transformers.Keys["max_steps"],
        ["max_grad_norm"] = KeyRules.To(StepSettings.MaxGradNorm),
        ["bf16"] = Schedules.BFloat16,
        ["batching_strategy"] = KeyRules.Only(["normal", "padding_free"], "a step has a number of rows, not of tokens"),
        ["batching_workers"] = KeyRules.Drop(KeyRules.Speed),
        ["enable_activation_checkpointing"] = Transformers.Keys["gradient_checkpointing"],
        ["dist_config"] = KeyRules.Drop("one process here; each of several there takes a micro-batch of its own in every step"),
        ["dist_timeout"] = KeyRules.Drop(KeyRules.Speed),
        ["cp_size"] = KeyRules.Drop(KeyRules.Speed),
        ["cp_mode"] = KeyRules.Drop(KeyRules.Speed),
        ["mp_replicate_size"] = KeyRules.Drop(KeyRules.Speed),
        ["mp_shard_size"] = KeyRules.Drop(KeyRules.Speed),
        ["optim_config"] = KeyRules.Stop("its own trainers take torch's AdamW where nothing is named; say which under optim"),
        ["lr_scheduler_config"] = KeyRules.Stop("its own trainers keep one rate; say which under lr_scheduler"),
        ["seed"] = KeyRules.To(StepSettings.Seed),
        ["full_determinism"] = KeyRules.Drop("the same command and seed give the same bytes"),
        ["resume_from_checkpoint"] = Transformers.Keys["resume_from_checkpoint"],
        ["save_steps"] = KeyRules.To(RunSettings.SaveSteps),
        ["save_epochs"] = Schedules.Later,
        ["save_ckpt_as_hf"] = KeyRules.Drop("a checkpoint always holds the adapter as PEFT reads it"),
        ["save_total_limit"] = KeyRules.To(RunSettings.SaveTotalLimit),
        ["logging_steps"] = KeyRules.To(RunSettings.LoggingSteps),
        ["pref_loss"] = Schedules.Later,
        ["pref_beta"] = Schedules.Later,
        ["pref_ftx"] = Schedules.Later,
        ["simpo_gamma"] = Schedules.Later,
        ["dpo_label_smoothing"] = Schedules.Later,
        ["ld_alpha"] = KeyRules.Stop("there only the policy is shortened by it, and here the reference is too"),
        ["sample_backend"] = KeyRules.Drop(KeyRules.Sets),
        ["max_new_tokens"] = KeyRules.Drop(KeyRules.Sets),
    }, Finish)
    { IsAlone = true };

    private static void Finish(ImportDraft draft)
    {
        if (draft.Theirs("peft_config") is null)
            draft.Change("peft_config", "none", "without it the whole model is trained, and an adapter is what train makes");
        Quantize(draft);
        Pairs(draft);
        Accumulate(draft);
        Save(draft);
        draft.Default(ModelSettings.Quantize, "none");
        draft.Default(ModelSettings.Dtype, "bfloat16");
        draft.Default(AdapterSettings.Rank, 8.0);
        draft.Default(AdapterSettings.Alpha, 16.0);
        draft.Default(AdapterSettings.Dropout, 0.05);
        draft.Default(AdapterSettings.TargetModules, "all-linear");
        draft.Default(StepSettings.BatchSize, 1.0);
        draft.Default(StepSettings.Accumulation, 1.0);
        draft.Default(StepSettings.LearningRate, 1e-4);
        if (!draft.Has(StepSettings.MaxSteps)) draft.Default(StepSettings.Epochs, 3.0);
        draft.Default(StepSettings.Scheduler, "constant");
        draft.Default(StepSettings.Warmup, 0.0);
        // torch's AdamW, as it is made there.
        draft.Default(StepSettings.WeightDecay, 0.01);
        draft.Default(DataSettings.MaxSeqLength, 2048.0);
        draft.Default(DataSettings.OnTooLong, "truncate");
        draft.Default(DataSettings.GroupByLength, false);
        draft.Default(RunSettings.LoggingSteps, 1.0);
        draft.Default(RunSettings.SaveTotalLimit, 0.0);
    }

    private static void Quantize(ImportDraft draft)
    {
        if (draft.Theirs("quant_config") is null) return;
        var bits = draft.Theirs("quant_config.quantization_bit") ?? (draft.Theirs("quant_config.name") == "auto" ? "" : "4");
        if (bits == "4")
        {
            draft.Set(ModelSettings.Quantize, "nf4");
            draft.Set(ModelSettings.DoubleQuant, ImportDraft.Truth(draft.Theirs("quant_config.double_quantization") ?? "true") ?? true);
        }
        else if (bits == "8") draft.Set(ModelSettings.Quantize, "int8");
        else if (bits.Length > 0) draft.Change("quant_config.quantization_bit", bits, "bases are held in 4 bits, 8 bits or as stored");
    }

    // The command there says which trainer: the keys of pairs alone give it away.
    private static void Pairs(ImportDraft draft)
    {
        if (!draft.Has(PreferenceSettings.Objective) && !Array.Exists(Preferred, key => draft.Theirs(key) is not null))
        {
            draft.Miss("its command says whether answers or pairs are trained on (sft, dpo or rm), and its file does not: this recipe trains on answers; write "
                + "objective: dpo for pairs");
            draft.Miss("a conversation of several answers is a row for each of them there, and one row here");
            return;
        }
        var loss = draft.Theirs("pref_loss") ?? "sigmoid";
        var smoothing = draft.Theirs("dpo_label_smoothing");
        var isSmoothed = smoothing is not null && !ImportDraft.IsOff(smoothing);
        if (loss is not ("sigmoid" or "orpo" or "simpo"))
        {
            draft.Change("pref_loss", loss, "pairs are compared by sigmoid, orpo or simpo");
            return;
        }
        draft.Set(PreferenceSettings.Objective, loss == "sigmoid" ? "dpo" : loss);
        if (loss == "sigmoid") draft.Set(PreferenceSettings.LossType, ImportDraft.Words(isSmoothed ? "conservative" : "sigmoid"));
        if (loss == "orpo") draft.Set(PreferenceSettings.LossType, ImportDraft.Words("llamafactory"));
        foreach (var (key, setting, isRead) in new[] { ("pref_beta", PreferenceSettings.Beta, true), ("simpo_gamma", PreferenceSettings.SimpoGamma,
            loss == "simpo"), ("dpo_label_smoothing", PreferenceSettings.LabelSmoothing, loss == "sigmoid" && isSmoothed), ("pref_ftx",
            PreferenceSettings.PrefFtx, !ImportDraft.IsOff(draft.Theirs("pref_ftx") ?? "0")) })
            if (isRead && draft.Theirs(key) is { } text) draft.Take(setting, key, text);
        draft.Default(PreferenceSettings.Beta, 0.1);
        if (loss == "simpo") draft.Default(PreferenceSettings.SimpoGamma, 0.5);
    }

    private static void Accumulate(ImportDraft draft)
    {
        if (draft.Theirs("global_batch_size") is not { } rows) return;
        var micro = draft.Number(StepSettings.BatchSize) ?? 1;
        if (ImportDraft.TryNumber(rows, out var all) && all >= micro && all % micro == 0) draft.Set(StepSettings.Accumulation, all / micro);
        else draft.Change("global_batch_size", rows, "it is no multiple of micro_batch_size");
    }

    private static void Save(ImportDraft draft)
    {
        if (draft.Theirs("save_epochs") is { } text)
        {
            if (!ImportDraft.TryNumber(text, out var epochs) || epochs <= 0) draft.Change("save_epochs", text, "it is not a number");
            else if (epochs == 1) draft.Set(RunSettings.SaveStrategy, "epoch");
            else draft.Change("save_epochs", text, "checkpoints come after every epoch or after a number of steps; write save_steps");
        }
        if (!draft.Has(RunSettings.SaveStrategy)) draft.Default(RunSettings.SaveSteps, 0.0);
    }

    private static void Data(ImportDraft draft, string key, string text, Setting setting)
    {
        if (!text.EndsWith(".yaml", StringComparison.Ordinal)) draft.Set(setting, new List<object> { text });
        else if (!File.Exists(text)) draft.Miss($"'{text}' lists the data sets and is not here; name the files under {setting.Key}");
        else if (RecipeYaml.Load(text) is { } list)
        {
            var sources = new List<object>();
            foreach (var (name, entry) in list.Children) One(draft, $"{key}.{name}", entry, setting, sources);
            if (sources.Count > 0) draft.Set(setting, sources);
        }
    }

    private static void One(ImportDraft draft, string key, YamlNode node, Setting setting, List<object> sources)
    {
        var fields = ImportDraft.Pairs(node).ToDictionary(pair => pair.Key.ToString(), pair => ImportDraft.Flat(pair.Value));
        string? Text(string name) => fields.Remove(name, out var value) && !ImportDraft.IsNothing(value) ? value : null;
        var (path, split) = (Text("path"), Text("split"));
        if (split == "train" && setting == DataSettings.Data) split = null;
        Text("source");
        if (Text("streaming") is { } streamed && ImportDraft.Truth(streamed) is true)
            draft.Drop(key + ".streaming", streamed, "rows are read once into a mapped cache");
        switch (Text("converter"))
        {
            case null or "sharegpt" or "openai": break;
            case "pair": draft.Set(PreferenceSettings.Objective, "dpo"); break;
            case "alpaca": draft.Miss($"{key}: an instruction and its input are written without a space between them there, and on two lines here"); break;
            case var other: draft.Change(key + ".converter", other, "rows are read as alpaca, ShareGPT, messages or pairs"); break;
        }
        foreach (var (name, value) in fields)
            if (!ImportDraft.IsNothing(value)) draft.Change($"{key}.{name}", value, "weights and splits say how much of a file is taken: train[:500]");
        if (path is null) draft.Change(key, "no path", "it names no data");
        else sources.Add(ImportedData.Source(draft, key + ".split", path, split, null, []));
    }
}
