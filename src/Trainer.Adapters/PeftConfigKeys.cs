using System.Text.Json;

namespace Trainer.Adapters;

/// <summary>Which keys of adapter_config.json are honoured, which say nothing about the trained adapter, and which are refused: none is passed over.</summary>
internal static class PeftConfigKeys
{
    private static readonly HashSet<string> Honoured = new(StringComparer.Ordinal)
    {
        "alpha_pattern", "base_model_name_or_path", "bias", "ensure_weight_tying", "exclude_modules", "init_lora_weights", "layers_pattern",
        "layers_to_transform", "lora_alpha", "lora_bias", "lora_dropout", "modules_to_save",
        "peft_type", "r", "rank_pattern", "revision", "target_modules", "target_parameters", "task_type", "trainable_token_indices", "use_dora", "use_rslora",
    };

    // Who wrote the file and how; from which statistics A was drawn before training, or how training saved memory (init_lora_weights alone decides
    // whether the base was changed); and what PEFT sets back for linear layers (fan_in_fan_out).
    private static readonly HashSet<string> Silent = new(StringComparer.Ordinal)
    {
        "auto_mapping", "corda_config", "eva_config", "fan_in_fan_out", "inference_mode", "loftq_config", "lora_ga_config", "peft_version", "velora_config",
    };

    // Settings of a switch: without it they say nothing.
    private static readonly Dictionary<string, string> SwitchOf = new(StringComparer.Ordinal) { ["megatron_core"] = "megatron_config",
        ["qalora_group_size"] = "use_qalora" };

    // Keys of PEFT 0.20 that change what is computed or which modules are meant.
    private static readonly HashSet<string> Refused = new(StringComparer.Ordinal)
    {
        "alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "megatron_config", "monteclora_config", "use_bdlora", "use_qalora",
    };

    // Inits that take a part out of the base's weights when the adapter is made, so that it fits no base that was loaded plainly. What exact PiSSA and
    // OLoRA took out follows from the base alone; what the others did hangs on data, codes or random numbers.
    private static readonly string[] BaseChanging = ["pissa", "olora", "corda", "loftq", "lora_ga"];

    /// <summary>Refuses the first key that is set and not honoured.</summary>
    /// <exception cref="AdapterException">Such a key, by name.</exception>
    public static void Check(JsonElement root, string path)
    {
        if (root.TryGetProperty("lora_parameters", out _) && !root.TryGetProperty("peft_type", out _))
            throw new AdapterException($"adapter config '{path}': this is an mlx-lm adapter (lora_parameters, adapters.safetensors); fuse it with mlx_lm.fuse "
                + "and use the fused model, or train it again");
        foreach (var property in root.EnumerateObject())
        {
            var (key, value) = (property.Name, property.Value.GetRawText());
            if (Honoured.Contains(key) || Silent.Contains(key) || IsNeutral(value)) continue;
            if (SwitchOf.TryGetValue(key, out var named) && (!root.TryGetProperty(named, out var state) || IsNeutral(state.GetRawText()))) continue;
            throw Refused.Contains(key)
                ? new AdapterException($"adapter config '{path}': '{key}' changes what the adapter computes and is not implemented; use PEFT for this adapter")
                : new AdapterException($"adapter config '{path}': '{key}' is not a key of PEFT 0.20 and may change what the adapter computes; take the key "
                    + "out of the file if it does not");
        }
        if (root.TryGetProperty("task_type", out var task) && task.ValueKind == JsonValueKind.String && task.GetString() is not "CAUSAL_LM")
            throw new AdapterException($"adapter config '{path}': task_type '{task.GetString()}' is not implemented; only CAUSAL_LM is");
        CheckInit(root, path);
    }

    private static bool IsNeutral(string value) => value is "null" or "false" or "[]" or "{}";

    private static void CheckInit(JsonElement root, string path)
    {
        if (!root.TryGetProperty("init_lora_weights", out var init) || init.ValueKind is not JsonValueKind.String) return;
        var name = init.GetString()!;
        // Drawn otherwise, then an adapter like any other.
        if (name.ToLowerInvariant() is "gaussian" or "eva" or "orthogonal" or "mica" or "pissa" or "olora") return;
        if (BaseChanging.Any(known => name.StartsWith(known, StringComparison.OrdinalIgnoreCase)))
            throw new AdapterException($"adapter config '{path}': init_lora_weights '{name}' changes the base's weights and is not implemented; convert the "
                + "adapter to plain LoRA with save_pretrained(path_initial_model_for_weight_conversion=...)");
        throw new AdapterException($"adapter config '{path}': init_lora_weights '{name}' is not known here and may change the base's weights; set it to true "
            + "if the adapter is plain LoRA");
    }
}
