namespace Trainer.Cli.Importing;

/// <summary>What each tool does where its configuration says nothing, as far as trainer would do something else.</summary>
/// <remarks>Read in the sources: axolotl's config reference (0.16), LLaMA-Factory's hparams with transformers' TrainingArguments, mlx-lm's lora.py, TRL's SFTConfig and ModelConfig.</remarks>
internal static class ToolDefaults
{
    private static readonly string[] PeftTargets = ["q_proj", "v_proj"];

    private static readonly Dictionary<string, object> Transformers = new()
    {
        ["batch_size"] = 8.0, ["gradient_accumulation_steps"] = 1.0, ["epochs"] = 3.0, ["lr_scheduler"] = "linear", ["warmup_steps"] = 0.0, ["on_too_long"] = "truncate", ["group_by_length"] = false,
        ["save_steps"] = 500.0, ["save_total_limit"] = 0.0, ["quantize"] = "none",
    };

    private static readonly Dictionary<string, IReadOnlyDictionary<string, object>> ByTool = new()
    {
        ["axolotl"] = new Dictionary<string, object>
        {
            ["gradient_accumulation_steps"] = 1.0, ["max_seq_length"] = 512.0, ["on_too_long"] = "drop", ["group_by_length"] = false, ["quantize"] = "none", ["target_modules"] = PeftTargets,
        },
        ["llama-factory"] = new Dictionary<string, object>(Transformers) { ["learning_rate"] = 5e-5, ["lora_rank"] = 8.0, ["logging_steps"] = 500.0 },
        ["trl"] = new Dictionary<string, object>(Transformers)
        {
            ["learning_rate"] = 2e-5, ["max_seq_length"] = 1024.0, ["lora_alpha"] = 32.0, ["lora_dropout"] = 0.05, ["target_modules"] = PeftTargets, ["logging_steps"] = 10.0, ["double_quant"] = false,
        },
        ["mlx-lm"] = new Dictionary<string, object>
        {
            ["batch_size"] = 4.0, ["gradient_accumulation_steps"] = 1.0, ["max_steps"] = 1000.0, ["learning_rate"] = 1e-5, ["lr_scheduler"] = "constant", ["warmup_steps"] = 0.0, ["max_grad_norm"] = 0.0,
            ["on_too_long"] = "truncate", ["lora_layers"] = 16.0, ["lora_rank"] = 8.0, ["train_on"] = "all", ["eval_steps"] = 200.0, ["logging_steps"] = 10.0, ["seed"] = 0.0, ["quantize"] = "none",
        },
    };

    /// <summary>Keys of a recipe and what the tool takes for them.</summary>
    public static IReadOnlyDictionary<string, object> Of(string tool) => ByTool[tool];
}
