using Trainer.Training.Options;

namespace Trainer.Cli.Importing;

/// <summary>The arguments of Unsloth's notebooks (from_pretrained, get_peft_model, SFTConfig) as one flat file.</summary>
internal static class Unsloth
{
    public static readonly Dialect Dialect = new("unsloth",
        ["model_name", "use_gradient_checkpointing", "random_state", "full_finetuning", "finetune_language_layers", "loftq_config"],
        new Dictionary<string, KeyRule>(Trl.Dialect.Keys)
    {
        ["model_name"] = KeyRules.To(ModelSettings.Model),
        ["r"] = KeyRules.To(AdapterSettings.Rank),
        ["target_modules"] = Transformers.Targets,
        ["bias"] = KeyRules.To(AdapterSettings.Bias),
        ["random_state"] = (draft, key, text, _) =>
        {
            // The adapter's draw and the rows' order have one seed here.
            if (draft.Theirs("seed") is null) draft.Take(StepSettings.Seed, key, text);
        },
        ["use_gradient_checkpointing"] = Transformers.Keys["gradient_checkpointing"],
        ["full_finetuning"] = KeyRules.Stop("an adapter is what train makes"),
        ["loftq_config"] = KeyRules.Drop("init_lora_weights asks for it, and quantize says the bits; one round is made, which fits the plain base"),
        ["finetune_vision_layers"] = KeyRules.Stop("text alone is trained on"),
        ["finetune_language_layers"] = KeyRules.Only(["true"], "adapters sit on the language model"),
        ["finetune_attention_modules"] = KeyRules.Only(["true"], "target_modules says which"),
        ["finetune_mlp_modules"] = KeyRules.Only(["true"], "target_modules says which"),
        ["layers_to_transform"] = KeyRules.To(AdapterSettings.LayersToTransform),
        ["fast_inference"] = KeyRules.Drop(KeyRules.Speed),
        ["max_lora_rank"] = KeyRules.Drop(KeyRules.Speed),
    }, Finish);

    private static readonly string[] Targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    private static void Finish(ImportDraft draft)
    {
        Trl.Data(draft);
        Preferences.Trl(draft);
        Schedules.Finish(draft, "lr_scheduler_type");
        draft.Default(StepSettings.LearningRate, draft.Has(PreferenceSettings.Objective) ? 1e-6 : 2e-5);
        draft.Default(DataSettings.MaxSeqLength, 2048.0);
        draft.Default(AdapterSettings.Rank, 16.0);
        draft.Default(AdapterSettings.Alpha, 16.0);
        draft.Default(AdapterSettings.TargetModules, Targets);
        // from_pretrained loads in 4 bits where nothing is said, with its scales quantized too.
        if (draft.Theirs("load_in_4bit") is null) draft.Default(ModelSettings.Quantize, "nf4");
        Trl.TrainingArguments(draft);
    }
}
