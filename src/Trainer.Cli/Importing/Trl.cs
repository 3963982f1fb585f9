using Trainer.Training.Options;

namespace Trainer.Cli.Importing;

/// <summary>TRL's SFT configuration: ScriptArguments, SFTConfig and ModelConfig.</summary>
internal static class Trl
{
    public static readonly Dialect Dialect = new("trl",
        ["dataset_name", "use_peft", "lora_r", "per_device_train_batch_size", "assistant_only_loss", "load_in_4bit", "dataset_train_split"],
        new Dictionary<string, KeyRule>
    {
        ["datasets"] = (draft, key, _, node) => ImportedData.Mixture(draft, key, node, DataSettings.Data),
        ["dataset_name"] = Schedules.Later,
        ["eval_dataset_name"] = Schedules.Later,
        ["dataset_config"] = Schedules.Later,
        ["dataset_train_split"] = Schedules.Later,
        ["dataset_test_split"] = Schedules.Later,
        ["test_split_size"] = KeyRules.To(DataSettings.EvalSplit),
        ["dataset_streaming"] = KeyRules.Drop("rows are read once into a mapped cache"),
        ["dataset_text_field"] = Schedules.Later,
        ["dataset_kwargs"] = KeyRules.Stop("nothing here does this to the rows"),
        ["use_peft"] = KeyRules.Only(["true", "yes", "1"], "an adapter is what train makes"),
        ["lora_modules_to_save"] = KeyRules.To(AdapterSettings.ModulesToSave),
        ["lora_task_type"] = KeyRules.Only(["CAUSAL_LM"], "language models are what train adapts"),
        ["assistant_only_loss"] = KeyRules.WhenOn(draft => draft.Set(DataSettings.TrainOn, "assistant")),
        ["completion_only_loss"] = (draft, key, text, _) => draft.Set(DataSettings.TrainOn, ImportDraft.Truth(text) is false ? "all" : "completion"),
        ["chat_template_path"] = KeyRules.To(DataSettings.ChatTemplate),
        ["packing_strategy"] = KeyRules.Only(["bfd", "ffd"], "rows packed together are whole"),
        ["padding_free"] = KeyRules.Drop(KeyRules.Padding),
        ["pad_to_multiple_of"] = KeyRules.Drop(KeyRules.Padding),
        ["pad_token"] = KeyRules.Drop(KeyRules.Padding),
        ["eos_token"] = KeyRules.Stop("the end of a turn is the template's"),
        ["eval_packing"] = KeyRules.Drop("the loss of an evaluation does not depend on it"),
        ["loss_type"] = (draft, _, text, _) =>
        {
            if (text == "dft") draft.Set(PreferenceSettings.LossType, ImportDraft.Words(text));
        },
        ["model_init_kwargs"] = KeyRules.Drop(KeyRules.Speed),
        ["attn_implementation"] = KeyRules.Drop(KeyRules.Speed),
        ["shuffle_dataset"] = KeyRules.Drop("rows are shuffled each epoch"),
        ["learning_rate_scheduler"] = Schedules.Later,
    }.Concat(Preferences.TrlKeys).ToDictionary(), Finish);

    /// <summary>One data set by name, with subset, splits and the column of plain text; the test split is held out where the configuration evaluates.</summary>
    public static void Data(ImportDraft draft)
    {
        var field = draft.Theirs("dataset_text_field") is { } text && text != "text" ? text : null;
        if (draft.Theirs("dataset_name") is not { } name)
        {
            if (field is not null && !draft.Has(DataSettings.Data)) draft.Change("dataset_text_field", field, "it names a column of no data set");
            return;
        }
        var columns = field is null ? [] : new Dictionary<string, object> { ["text"] = field };
        var train = draft.Theirs("dataset_train_split") is { } split && split != "train" ? split : null;
        var subset = draft.Theirs("dataset_config");
        draft.Set(DataSettings.Data, new List<object> { ImportedData.Source(draft, "dataset_train_split", name, train, subset, columns) });
        var strategy = draft.Theirs("eval_strategy") ?? draft.Theirs("evaluation_strategy");
        if (draft.Theirs("eval_dataset_name") is { } other)
            draft.Set(DataSettings.EvalData, new List<object> { ImportedData.Source(draft, "dataset_test_split", other, draft.Theirs("dataset_test_split"),
                subset, columns) });
        else if (strategy is "steps" or "epoch")
            draft.Set(DataSettings.EvalData, new List<object> { ImportedData.Source(draft, "dataset_test_split", name,
                draft.Theirs("dataset_test_split") ?? "test", subset, columns) });
        else if (draft.Theirs("dataset_test_split") is { } unused) draft.Drop("dataset_test_split", unused, "without eval_strategy nothing is evaluated");
    }

    private static void Finish(ImportDraft draft)
    {
        if (draft.Theirs("use_peft") is null) draft.Change("use_peft", "false", "without it the whole model is trained, and an adapter is what train makes");
        Data(draft);
        Transformers.Revision(draft, "model_revision");
        Preferences.Trl(draft);
        Schedules.Finish(draft, "lr_scheduler_type");
        draft.Default(StepSettings.LearningRate, draft.Has(PreferenceSettings.Objective) ? 1e-6 : 2e-5);
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
        Pacing.TrainingArguments(draft);
        draft.Default(RunSettings.SaveTotalLimit, 0.0);
        draft.Default(ModelSettings.Quantize, "none");
    }
}
