using System.Text.RegularExpressions;
using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>torchtune's LoRA and DPO recipes (0.6): parts named by <c>_component_</c>, with what each of them takes beside it.</summary>
internal static class Torchtune
{
    private const string Component = "_component_";
    private const string Teacher = "no teacher is imitated";

    // Families whose linear layers are those of the Hugging Face form, so that an adapter of theirs has a place in it.
    private static readonly string[] Families = ["llama2", "code_llama2", "llama3", "llama3_1", "llama3_2", "llama3_3", "mistral", "gemma", "gemma2", "qwen2",
        "qwen2_5", "qwen3"];

    private static readonly Regex Reference = new(@"\$\{([^${}:]+)\}", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));

    private static readonly Dictionary<string, KeyRule> Model = new()
    {
        [Component] = Schedules.Later,
        ["lora_attn_modules"] = Schedules.Later,
        ["apply_lora_to_mlp"] = Schedules.Later,
        ["apply_lora_to_output"] = Schedules.Later,
        ["lora_rank"] = KeyRules.To(AdapterSettings.Rank),
        ["lora_alpha"] = KeyRules.To(AdapterSettings.Alpha),
        ["lora_dropout"] = KeyRules.To(AdapterSettings.Dropout),
        ["use_dora"] = KeyRules.To(AdapterSettings.UseDora),
        ["quantize_base"] = KeyRules.WhenOn(Quantized),
    };

    private static readonly Dictionary<string, KeyRule> Tokenizer = new()
    {
        [Component] = Schedules.Later,
        ["path"] = KeyRules.Drop(KeyRules.FromModel),
        ["merges_file"] = KeyRules.Drop(KeyRules.FromModel),
        ["vocab_path"] = KeyRules.Drop(KeyRules.FromModel),
        ["merges_path"] = KeyRules.Drop(KeyRules.FromModel),
        ["special_tokens_path"] = KeyRules.Drop(KeyRules.FromModel),
        ["max_seq_len"] = KeyRules.To(DataSettings.MaxSeqLength),
        ["prompt_template"] = KeyRules.Stop("prompts are written by the chat template; write this one into a file and name it under chat_template"),
        ["truncation_type"] = KeyRules.Only(["right"], "rows are cut at their end"),
    };

    private static readonly Dictionary<string, KeyRule> Checkpointer = new()
    {
        [Component] = (draft, key, text, _) =>
        {
            if (!text.EndsWith(".FullModelHFCheckpointer", StringComparison.Ordinal))
                draft.Change(key, text, "weights are read as Hugging Face folders have them");
        },
        ["checkpoint_dir"] = KeyRules.To(ModelSettings.Model),
        ["checkpoint_files"] = KeyRules.Drop("the folder's own index names the files"),
        ["recipe_checkpoint"] = KeyRules.Drop("--resume goes on from the newest checkpoint"),
        ["adapter_checkpoint"] = KeyRules.Stop("its adapter files are not PEFT's; an adapter folder goes under adapter"),
        ["output_dir"] = KeyRules.Drop(KeyRules.Place),
        ["model_type"] = KeyRules.Drop(KeyRules.FromModel),
        ["safe_serialization"] = KeyRules.Drop("safetensors is the only format"),
        ["keep_last_n_checkpoints"] = KeyRules.To(RunSettings.SaveTotalLimit),
    };

    private static readonly Dictionary<string, KeyRule> Optimizer = new()
    {
        [Component] = Schedules.Later,
        ["lr"] = KeyRules.To(StepSettings.LearningRate),
        ["weight_decay"] = KeyRules.To(StepSettings.WeightDecay),
        ["eps"] = KeyRules.To(StepSettings.Epsilon),
        ["betas"] = (draft, key, text, _) =>
        {
            if (!Schedules.Betas(draft, key, text)) draft.Change(key, text, "these are two numbers");
        },
        ["fused"] = KeyRules.Drop(KeyRules.Speed),
        ["foreach"] = KeyRules.Drop(KeyRules.Speed),
        ["percentile_clipping"] = KeyRules.Only(["100"], "gradients are clipped by their norm"),
        ["block_wise"] = KeyRules.Drop(KeyRules.Speed),
    };

    private static readonly Dictionary<string, KeyRule> Scheduler = new()
    {
        [Component] = (draft, key, text, _) =>
        {
            if (text.EndsWith(".get_cosine_schedule_with_warmup", StringComparison.Ordinal)) draft.Set(StepSettings.Scheduler, "cosine");
            else draft.Change(key, text, "its schedule is the cosine with warm-up");
        },
        ["num_warmup_steps"] = KeyRules.To(StepSettings.Warmup),
        ["num_cycles"] = KeyRules.Only(["0.5"], "the cosine falls once"),
    };

    private static readonly Dictionary<string, KeyRule> Loss = new()
    {
        [Component] = Schedules.Later,
        ["beta"] = KeyRules.To(PreferenceSettings.Beta),
        ["gamma"] = KeyRules.To(PreferenceSettings.Beta),
        ["label_smoothing"] = (draft, key, text, _) =>
        {
            if (!ImportDraft.IsOff(text)) draft.Take(PreferenceSettings.LabelSmoothing, key, text);
        },
        ["num_output_chunks"] = KeyRules.Drop(KeyRules.Speed),
        ["ignore_index"] = KeyRules.Only(["-100"], "the label of what carries no loss is -100"),
    };

    public static readonly Dialect Dialect = new("torchtune", [], new Dictionary<string, KeyRule>
    {
        ["output_dir"] = KeyRules.To(RunSettings.OutputDirectory),
        ["model"] = KeyRules.Inside("torchtune", Model),
        ["tokenizer"] = KeyRules.Inside("torchtune", Tokenizer),
        ["checkpointer"] = KeyRules.Inside("torchtune", Checkpointer),
        ["optimizer"] = KeyRules.Inside("torchtune", Optimizer),
        ["lr_scheduler"] = KeyRules.Inside("torchtune", Scheduler),
        ["loss"] = KeyRules.Inside("torchtune", Loss),
        ["dataset"] = (draft, key, _, node) => TorchtuneData.Read(draft, key, node, DataSettings.Data),
        ["dataset_val"] = (draft, key, _, node) => TorchtuneData.Read(draft, key, node, DataSettings.EvalData),
        ["run_val_every_n_steps"] = KeyRules.To(RunSettings.EvalSteps),
        ["batch_size_val"] = KeyRules.Drop("the loss of an evaluation does not depend on it"),
        ["seed"] = KeyRules.To(StepSettings.Seed),
        ["shuffle"] = KeyRules.To(DataSettings.Shuffle),
        ["batch_size"] = KeyRules.To(StepSettings.BatchSize),
        ["gradient_accumulation_steps"] = KeyRules.To(StepSettings.Accumulation),
        ["epochs"] = KeyRules.To(StepSettings.Epochs),
        ["max_steps_per_epoch"] = Schedules.Later,
        ["clip_grad_norm"] = (draft, key, text, _) =>
        {
            if (text is not ("inf" or ".inf")) draft.Take(StepSettings.MaxGradNorm, key, text);
        },
        ["optimizer_in_bwd"] = KeyRules.Drop(KeyRules.Speed),
        ["dtype"] = (draft, key, text, node) =>
            Schedules.Type(draft, key, text switch { "bf16" => "bfloat16", "fp32" => "float32", "fp16" => "float16", _ => text }, node),
        ["enable_activation_checkpointing"] = Transformers.Keys["gradient_checkpointing"],
        ["enable_activation_offloading"] = KeyRules.Drop(KeyRules.Speed),
        ["save_every_n_steps"] = KeyRules.To(RunSettings.SaveSteps),
        ["save_last_epoch_only"] = KeyRules.WhenOn(draft => draft.Set(RunSettings.SaveSteps, 0.0)),
        ["save_adapter_weights_only"] = KeyRules.Drop("the adapter stands alone in the run folder"),
        ["enable_async_checkpointing"] = KeyRules.Drop(KeyRules.Speed),
        ["resume_from_checkpoint"] = Transformers.Keys["resume_from_checkpoint"],
        ["metric_logger"] = (draft, key, _, node) =>
        {
            var name = Text(node, Component);
            if (name.EndsWith("WandBLogger", StringComparison.Ordinal)) draft.Set(RunSettings.ReportTo, new List<object> { "tensorboard", "html", "wandb" });
            else draft.Drop(key, name, KeyRules.Place);
        },
        ["log_every_n_steps"] = KeyRules.To(RunSettings.LoggingSteps),
        ["compile"] = KeyRules.Drop(KeyRules.Speed),
        ["device"] = KeyRules.Drop(KeyRules.Speed),
        ["low_cpu_ram"] = KeyRules.Drop(KeyRules.Speed),
        ["cudnn_deterministic_mode"] = KeyRules.Drop("the same command and seed give the same bytes"),
        ["collate_fn"] = KeyRules.Stop("text alone is trained on"),
        ["teacher_model"] = KeyRules.Stop(Teacher),
        ["teacher_checkpointer"] = KeyRules.Stop(Teacher),
        ["kd_loss"] = KeyRules.Stop(Teacher),
        ["kd_ratio"] = KeyRules.Stop(Teacher),
    }, Finish)
    { IsAlone = true, Prepare = Resolve };

    /// <summary>The last word of a part's name.</summary>
    public static string NameOf(YamlNode? node) => Text(node, Component) is var name && name.LastIndexOf('.') is var dot ? name[(dot + 1)..] : "";

    private static string Text(YamlNode? node, string key) =>
        node is YamlMappingNode map && map.Children.TryGetValue(new YamlScalarNode(key), out var value) ? ImportDraft.Flat(value) : "";

    private static void Quantized(ImportDraft draft)
    {
        draft.Set(ModelSettings.Quantize, "nf4");
        draft.Set(ModelSettings.DoubleQuant, true);
    }

    private static void Finish(ImportDraft draft)
    {
        if (draft.Node("optimizer") is null || draft.Node("dataset") is null)
        {
            draft.Change(draft.Node("optimizer") is null ? "optimizer" : "dataset", "none", "nothing is trained without it");
            return;
        }
        Adapters(draft);
        Steps(draft);
        Losses(draft);
        draft.Default(ModelSettings.Quantize, "none");
        draft.Default(AdapterSettings.Rank, 8.0);
        draft.Default(AdapterSettings.Alpha, 16.0);
        draft.Default(StepSettings.Accumulation, 1.0);
        draft.Default(StepSettings.MaxGradNorm, 0.0);
        draft.Default(StepSettings.Scheduler, "constant");
        draft.Default(StepSettings.Warmup, 0.0);
        draft.Default(DataSettings.GroupByLength, false);
        // Without a bound nothing is cut there; a row that is longer here is then told, and neither cut nor left out.
        draft.Default(DataSettings.OnTooLong, draft.Has(DataSettings.MaxSeqLength) ? "truncate" : "error");
        if (!draft.Has(RunSettings.SaveSteps)) draft.Default(RunSettings.SaveStrategy, "epoch");
        draft.Default(RunSettings.SaveTotalLimit, 0.0);
        draft.Default(RunSettings.LoggingSteps, 1.0);
        draft.Miss("torchtune writes conversations in a format of its own tokenizer, and the model's chat template is used here; look at 'trainer data show'");
    }

    private static void Adapters(ImportDraft draft)
    {
        var component = draft.Theirs("model." + Component) ?? "";
        var name = NameOf(draft.Node("model"));
        if (!name.StartsWith("lora_", StringComparison.Ordinal) && !name.StartsWith("qlora_", StringComparison.Ordinal))
        {
            draft.Change("model." + Component, component, "without LoRA the whole model is trained, and an adapter is what train makes");
            return;
        }
        if (component.Split('.') is not [_, "models", var family, _] || !Families.Contains(family))
        {
            draft.Change("model." + Component, component,
                "its linear layers are not those of the Hugging Face form, where an adapter would have another place");
            return;
        }
        if (name[0] == 'q') Quantized(draft);
        var modules = ImportDraft.Words(draft.Theirs("model.lora_attn_modules") ?? "")
            .Select(object (word) => word is "output_proj" ? "o_proj" : word).ToList();
        if (ImportDraft.Truth(draft.Theirs("model.apply_lora_to_mlp") ?? "") is true) modules.AddRange(["gate_proj", "up_proj", "down_proj"]);
        if (ImportDraft.Truth(draft.Theirs("model.apply_lora_to_output") ?? "") is true) modules.Add("lm_head");
        if (modules.Count > 0) draft.Set(AdapterSettings.TargetModules, modules);
        else draft.Change("model.lora_attn_modules", "none", "no module would be adapted");
    }

    private static void Steps(ImportDraft draft)
    {
        var (name, component) = (NameOf(draft.Node("optimizer")), draft.Theirs("optimizer." + Component) ?? "none");
        var (ours, decay) = name switch
        {
            "AdamW" => ("adamw", 0.01),
            "AdamW8bit" or "PagedAdamW8bit" => ("adamw-8bit", 0.01),
            "PagedAdamW" => ("adamw", 0.01),
            "Adam" => ("adam", 0.0),
            _ => ("", 0.0),
        };
        if (ours.Length == 0)
            draft.Change("optimizer." + Component, component, "its optimizers that are known here are AdamW, AdamW8bit, PagedAdamW8bit and Adam");
        else
        {
            draft.Set(StepSettings.Optim, ours);
            draft.Default(StepSettings.WeightDecay, decay);
            draft.Default(StepSettings.LearningRate, 1e-3);
        }
        if (draft.Theirs("max_steps_per_epoch") is not { } bound) return;
        if (!ImportDraft.TryNumber(bound, out var steps) || draft.Number(StepSettings.Epochs) is not { } epochs)
        {
            draft.Change("max_steps_per_epoch", bound, "it is a number beside epochs");
            return;
        }
        draft.Set(StepSettings.MaxSteps, steps * epochs);
        var rows = steps * (draft.Number(StepSettings.BatchSize) ?? 1) * (draft.Number(StepSettings.Accumulation) ?? 1);
        draft.Miss(FormattableString.Invariant($"max_steps_per_epoch ends an epoch early there: see that the data has {rows} rows or more, else take ")
            + "max_steps out and write epochs");
    }

    private static void Losses(ImportDraft draft)
    {
        var isSmoothed = draft.Has(PreferenceSettings.LabelSmoothing);
        var component = draft.Theirs("loss." + Component);
        switch (NameOf(draft.Node("loss")))
        {
            case "" or "LinearCrossEntropyLoss" or "CEWithChunkedOutputLoss" or "CrossEntropyLoss": return;
            case "DPOLoss": Pairs(draft, isSmoothed ? "conservative" : "sigmoid"); break;
            case "RSOLoss": Pairs(draft, "hinge"); break;
            default: draft.Change("loss." + Component, component!, "its losses that are known here are the cross entropy, DPOLoss and RSOLoss"); break;
        }
    }

    private static void Pairs(ImportDraft draft, string loss)
    {
        draft.Set(PreferenceSettings.Objective, "dpo");
        draft.Set(PreferenceSettings.LossType, ImportDraft.Words(loss));
        draft.Default(PreferenceSettings.Beta, 0.1);
    }

    // ${output_dir} and the like name another key of the file; one that is there for others alone has done its work then.
    private static void Resolve(YamlMappingNode root)
    {
        var named = Scalars(root).SelectMany(scalar => Reference.Matches(scalar.Value ?? "")).Select(match => match.Groups[1].Value).ToHashSet();
        foreach (var scalar in Scalars(root))
        {
            for (var depth = 0; depth < 4 && scalar.Value is { } text && text.Contains("${", StringComparison.Ordinal); depth++)
                scalar.Value = Reference.Replace(text, match => ImportDraft.Node(root, match.Groups[1].Value) is YamlScalarNode { Value: { } value }
                    ? value : match.Value);
        }
        foreach (var name in named.Where(name => Dialect.RuleOf(name) is null)) root.Children.Remove(new YamlScalarNode(name));
    }

    private static IEnumerable<YamlScalarNode> Scalars(YamlNode node) => node switch
    {
        YamlScalarNode scalar => [scalar],
        YamlSequenceNode list => list.Children.SelectMany(Scalars),
        YamlMappingNode map => map.Children.Values.SelectMany(Scalars),
        _ => [],
    };
}
