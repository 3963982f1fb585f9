namespace Trainer.Cli.Importing;

/// <summary>TRL's SFT configuration: ScriptArguments, SFTConfig and ModelConfig.</summary>
internal static class Trl
{
    private const string Split = "the rows of a file or folder are its train rows; write these into a file";

    public static readonly Dialect Dialect = new("trl", ["dataset_name", "use_peft", "lora_r", "per_device_train_batch_size", "assistant_only_loss", "load_in_4bit", "dataset_train_split"], new Dictionary<string, KeyRule>
    {
        ["dataset_name"] = (draft, _, text, _) => draft.Set(DataSettings.Data, new List<object> { text }),
        ["eval_dataset_name"] = (draft, _, text, _) => draft.Set(DataSettings.EvalData, new List<object> { text }),
        ["dataset_config"] = KeyRules.Stop("subsets are folders or files here; name them under data"),
        ["dataset_train_split"] = KeyRules.Only(["train"], Split),
        ["dataset_test_split"] = KeyRules.Drop("eval_data or eval_split says what is held out"),
        ["dataset_streaming"] = KeyRules.Drop("rows are read once into a mapped cache"),
        ["dataset_text_field"] = TextField,
        ["dataset_kwargs"] = KeyRules.Stop("nothing here does this to the rows"),
        ["use_peft"] = KeyRules.Only(["true", "yes", "1"], "an adapter is what train makes"),
        ["lora_modules_to_save"] = KeyRules.To(AdapterSettings.ModulesToSave),
        ["lora_task_type"] = KeyRules.Only(["CAUSAL_LM"], "language models are what train adapts"),
        ["lora_target_parameters"] = KeyRules.Stop("adapters sit on linears alone"),
        ["assistant_only_loss"] = KeyRules.WhenOn(draft => draft.Set(DataSettings.TrainOn, "assistant")),
        ["completion_only_loss"] = (draft, key, text, _) => draft.Set(DataSettings.TrainOn, ImportDraft.Truth(text) is false ? "all" : "completion"),
        ["chat_template_path"] = KeyRules.To(DataSettings.ChatTemplate),
        ["packing_strategy"] = KeyRules.Only(["bfd", "ffd"], "rows packed together are whole"),
        ["padding_free"] = KeyRules.Drop(KeyRules.Padding),
        ["pad_to_multiple_of"] = KeyRules.Drop(KeyRules.Padding),
        ["pad_token"] = KeyRules.Drop(KeyRules.Padding),
        ["eos_token"] = KeyRules.Stop("the end of a turn is the template's"),
        ["eval_packing"] = KeyRules.Drop("the loss of an evaluation does not depend on it"),
        ["loss_type"] = KeyRules.Only(["nll", "chunked_nll"], "the loss is the cross entropy"),
        ["model_init_kwargs"] = KeyRules.Drop(KeyRules.Speed),
        ["attn_implementation"] = KeyRules.Drop(KeyRules.Speed),
        ["shuffle_dataset"] = KeyRules.Drop("rows are shuffled each epoch"),
        ["learning_rate_scheduler"] = Schedules.Later,
    }, Finish);

    private static void TextField(ImportDraft draft, string key, string text, YamlDotNet.RepresentationModel.YamlNode node)
    {
        if (text == "text") return;
        if (draft.Theirs("dataset_name") is not { } name) draft.Change(key, text, "it names a column of no data set");
        else draft.Set(DataSettings.Data, new List<object> { new Dictionary<string, object> { ["path"] = name, ["columns"] = new Dictionary<string, object> { ["text"] = text } } });
    }

    private static void Finish(ImportDraft draft)
    {
        if (draft.Theirs("use_peft") is null) draft.Change("use_peft", "false", "without it the whole model is trained, and an adapter is what train makes");
        Schedules.Finish(draft, "lr_scheduler_type");
        draft.Default(StepSettings.LearningRate, 2e-5);
        draft.Default(DataSettings.MaxSeqLength, 1024.0);
        draft.Default(AdapterSettings.Alpha, 32.0);
        draft.Default(AdapterSettings.Dropout, 0.05);
        draft.Default(AdapterSettings.TargetModules, Axolotl.PeftTargets);
        draft.Default(RunSettings.LoggingSteps, 10.0);
        TrainingArguments(draft);
        if (draft[ModelSettings.Quantize] is "nf4") draft.Default(ModelSettings.DoubleQuant, false);
        else draft.Remove(ModelSettings.DoubleQuant);
    }

    /// <summary>Defaults of transformers' TrainingArguments, where ours differ.</summary>
    public static void TrainingArguments(ImportDraft draft)
    {
        draft.Default(StepSettings.BatchSize, 8.0);
        draft.Default(StepSettings.Accumulation, 1.0);
        if (!draft.Has(StepSettings.MaxSteps)) draft.Default(StepSettings.Epochs, 3.0);
        draft.Default(StepSettings.Scheduler, "linear");
        draft.Default(StepSettings.Warmup, 0.0);
        draft.Default(DataSettings.OnTooLong, "truncate");
        draft.Default(DataSettings.GroupByLength, false);
        draft.Default(RunSettings.SaveSteps, 500.0);
        draft.Default(RunSettings.SaveTotalLimit, 0.0);
        draft.Default(ModelSettings.Quantize, "none");
    }
}
