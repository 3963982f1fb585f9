namespace Trainer.Engine;

/// <summary>A model family as llama.cpp knows it: the architecture's name, the order of rotated rows, and the places of a layer's modules.</summary>
public sealed record GgufArchitecture
{
    /// <summary>general.architecture.</summary>
    public required string Name { get; init; }

    /// <summary>Whether the rows of q and k lie in pairs and not in halves; see <see cref="RotaryOrder"/>.</summary>
    public required bool IsPermuted { get; init; }

    /// <summary>The architecture of a model_type, or null for a family that llama.cpp does not have or that is not mapped here.</summary>
    /// <param name="modelType">model_type of config.json.</param>
    public static GgufArchitecture? Of(string modelType) => modelType switch
    {
        "llama" or "mistral" => new() { Name = "llama", IsPermuted = true },
        "granite" or "smollm3" => new() { Name = modelType, IsPermuted = true },
        "qwen2" or "qwen3" or "phi3" or "gemma" or "gemma2" or "olmo2" => new() { Name = modelType, IsPermuted = false },
        "qwen3_moe" => new() { Name = "qwen3moe", IsPermuted = false },
        "gemma3" or "gemma3_text" => new() { Name = "gemma3", IsPermuted = false },
        _ => null,
    };

    /// <summary>Name in the file of a module, without <c>.weight</c> or <c>.bias</c>.</summary>
    /// <param name="module">A module of a family that has an architecture.</param>
    public static string NameOf(ModuleBlueprint module)
    {
        ArgumentNullException.ThrowIfNull(module);
        if (module.Kind == ModuleKind.Parameter && module.Path.EndsWith(".mlp.gate.weight", StringComparison.Ordinal)) return $"blk.{module.Layer}.ffn_gate_inp";
        return module.Layer < 0 ? Part(module.Role) : $"blk.{module.Layer}.{Part(module.Role)}";
    }

    // Fused projections are those of phi3, whose ffn_up holds gate and up.
    private static string Part(ModuleRole role) => role switch
    {
        ModuleRole.Embedding => "token_embd",
        ModuleRole.FinalNorm => "output_norm",
        ModuleRole.Head => "output",
        ModuleRole.Query => "attn_q",
        ModuleRole.Key => "attn_k",
        ModuleRole.Value => "attn_v",
        ModuleRole.Qkv => "attn_qkv",
        ModuleRole.Output => "attn_output",
        ModuleRole.Gate => "ffn_gate",
        ModuleRole.Up or ModuleRole.GateUp => "ffn_up",
        ModuleRole.Down => "ffn_down",
        ModuleRole.BeforeAttention => "attn_norm",
        ModuleRole.AfterAttention => "post_attention_norm",
        ModuleRole.BeforeMlp => "ffn_norm",
        ModuleRole.AfterMlp => "post_ffw_norm",
        ModuleRole.QueryNorm => "attn_q_norm",
        ModuleRole.KeyNorm => "attn_k_norm",
        _ => throw new ArgumentOutOfRangeException(nameof(role)),
    };
}
