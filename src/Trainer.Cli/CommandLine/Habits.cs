namespace Trainer.Cli.CommandLine;

/// <summary>Options of transformers, TRL, PEFT, mlx-lm and LLaMA-Factory that mean one of ours with a certain value.</summary>
internal static class Habits
{
    /// <summary>The word to parse instead, and whether the word after it was its value.</summary>
    /// <param name="name">Option name, kebab-case, without dashes.</param>
    /// <param name="following">The value, or the word that may be its value.</param>
    /// <param name="known">Names the command knows.</param>
    public static (string Word, bool UsedFollowing)? Rewrite(string name, string? following, IReadOnlySet<string> known)
    {
        var truth = following?.ToLowerInvariant() is "true" or "false" or "yes" or "no" or "on" or "off" or "1" or "0";
        var on = !truth || following!.ToLowerInvariant() is "true" or "yes" or "on" or "1";
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
            "use-cpu" or "no-cuda" => ("device", on ? "cpu" : "auto"),
            _ => null,
        };
        return rewritten is { } pair && known.Contains(pair.Name) ? ($"--{pair.Name}={pair.Value}", truth) : null;
    }
}
