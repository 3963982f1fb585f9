namespace Trainer.Cli.CommandLine;

/// <summary>Options of transformers, TRL, PEFT, mlx-lm and LLaMA-Factory that mean one of ours with a certain value.</summary>
internal static class Habits
{
    /// <summary>The word to parse instead (empty where the option says what is done anyway), and whether the word after it was its value.</summary>
    /// <param name="name">Option name, kebab-case, without dashes.</param>
    /// <param name="following">The value, or the word that may be its value.</param>
    /// <param name="known">Names the command knows.</param>
    public static (string Word, bool UsedFollowing)? Rewrite(string name, string? following, IReadOnlySet<string> known)
    {
        var truth = following?.ToLowerInvariant() is "true" or "false" or "yes" or "no" or "on" or "off" or "1" or "0";
        var on = !truth || following!.ToLowerInvariant() is "true" or "yes" or "on" or "1";
        if (known.Contains("lora-rank") && SaysNothingNew(name, following) is { } used) return ("", used);
        (string Name, string Value)? rewritten = name switch
        {
            "load-in-4bit" => ("quantize", on ? "nf4" : "none"),
            "load-in-8bit" => ("quantize", on ? "int8" : "none"),
            "no-load-in-4bit" or "no-quantize" => ("quantize", "none"),
            "bf16" => ("dtype", on ? "bfloat16" : "auto"),
            "fp32" or "float32" => ("dtype", on ? "float32" : "auto"),
            "no-gradient-checkpointing" => ("gradient-checkpointing", on ? "none" : "on"),
            "grad-checkpoint" => ("gradient-checkpointing", on ? "on" : "none"),
            "mask-prompt" => ("train-on", on ? "auto" : "all"),
            "assistant-only-loss" when on => ("train-on", "assistant"),
            "completion-only-loss" when on => ("train-on", "completion"),
            "lora-target-linear" when on => ("target-modules", "all-linear"),
            "save-strategy" when following is "no" => ("save-steps", "0"),
            "fine-tune-type" when following is "dora" => ("use-dora", "true"),
            "use-cpu" or "no-cuda" => ("device", on ? "cpu" : "auto"),
            _ => null,
        };
        if (name == "quantization-bit" && following is "4" or "8" && known.Contains("quantize"))
            return (following == "4" ? "--quantize=nf4" : "--quantize=int8", true);
        return rewritten is { } pair && known.Contains(pair.Name) ? ($"--{pair.Name}={pair.Value}", truth || following is "dora") : null;
    }

    /// <summary>Whether a value of an option that we have too is a word of the others alone.</summary>
    public static bool IsOnlyAnothers(string name, string? following) => name == "save-strategy" && following is "no";

    /// <summary>Whether the option asks for what train does in any case, and if so whether the word behind it was its value; another value of it stays an
    /// unknown option.</summary>
    private static bool? SaysNothingNew(string name, string? following)
    {
        var word = following?.ToLowerInvariant();
        return name switch
        {
            "do-train" or "use-peft" or "train" when word is "true" => true,
            "do-train" or "use-peft" or "train" when word is not ("false" or "no" or "0") => false,
            "finetuning-type" or "fine-tune-type" when word is "lora" => true,
            "eval-strategy" or "save-strategy" or "logging-strategy" when word is "steps" => true,
            "bnb-4bit-quant-type" when word is "nf4" => true,
            "quantization-method" when word is "bitsandbytes" or "bnb" => true,
            "lora-task-type" or "task-type" when word is "causal_lm" => true,
            "use-lora" when word is "true" => true,
            "use-lora" when word is not ("false" or "no" or "0") => false,
            "fp16" or "push-to-hub" or "torch-compile" or "load-best-model-at-end" when word is "false" or "no" or "0" => true,
            _ when ChangesNoResult.Contains(name) => word is not null && !word.EndsWith(".yaml", StringComparison.Ordinal)
                && !word.EndsWith(".yml", StringComparison.Ordinal),
            _ => null,
        };
    }

    /// <summary>Switches of another engine's speed, of its caches and of its screen: whatever they say, the adapter would be the same.</summary>
    private static readonly HashSet<string> ChangesNoResult =
    [
        "flash-attn", "flash-attention", "attn-implementation", "sdp-attention", "xformers-attention", "use-liger-kernel", "enable-liger-kernel", "tf32",
        "use-unsloth", "pad-to-sequence-len", "trust-remote-code",
        "preprocessing-num-workers", "dataloader-num-workers", "dataloader-pin-memory", "dataset-num-proc", "dataset-processes", "overwrite-cache",
        "ddp-timeout", "ddp-find-unused-parameters", "low-cpu-mem-usage",
        "plot-loss", "disable-tqdm", "logging-first-step", "use-cache", "eval-accumulation-steps", "save-safetensors", "average-tokens-across-devices",
        "eval-on-start", "remove-unused-columns", "ignore-pad-token-for-loss", "use-fast-tokenizer", "include-num-input-tokens-seen",
    ];
}
