namespace Trainer.Engine;

/// <summary>A model family as llama.cpp knows it: the architecture's name, the order of rotated rows, and the places of a layer's modules.</summary>
public sealed record GgufArchitecture
{
    private static readonly (string Module, string Part)[] Projections =
    [
        ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"), ("self_attn.qkv_proj", "attn_qkv"), ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.gate_up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
    ];

    /// <summary>general.architecture.</summary>
    public required string Name { get; init; }

    /// <summary>Whether the rows of q and k lie in pairs and not in halves; see <see cref="RotaryOrder"/>.</summary>
    public required bool IsPermuted { get; init; }

    /// <summary>Modules of a layer with a matrix, in llama.cpp's order; fused projections are those of phi3, whose ffn_up holds gate and up.</summary>
    public static IReadOnlyList<(string Module, string Part)> LinearParts => Projections;

    /// <summary>The architecture of a model_type, or null for a family that llama.cpp does not have or that is not mapped here.</summary>
    /// <param name="modelType">model_type of config.json.</param>
    public static GgufArchitecture? Of(string modelType) => modelType switch
    {
        "llama" or "mistral" => new() { Name = "llama", IsPermuted = true },
        "granite" or "smollm3" => new() { Name = modelType, IsPermuted = true },
        "qwen2" or "qwen3" or "phi3" or "gemma" or "gemma2" or "olmo2" => new() { Name = modelType, IsPermuted = false },
        "gemma3" or "gemma3_text" => new() { Name = "gemma3", IsPermuted = false },
        _ => null,
    };

    /// <summary>Name in the file of a tensor, or null where it has no place.</summary>
    /// <param name="config">The model.</param>
    /// <param name="name">Name in the model folder.</param>
    internal static string? TensorName(ModelConfig config, string name)
    {
        switch (name)
        {
            case "model.embed_tokens.weight": return "token_embd.weight";
            case "model.norm.weight": return "output_norm.weight";
            case "lm_head.weight": return "output.weight";
        }
        var parts = name.Split('.');
        if (parts.Length < 5 || parts[0] != "model" || parts[1] != "layers" || !int.TryParse(parts[2], out var layer)) return null;
        return Part(config, string.Join('.', parts[3..^1])) is { } part ? $"blk.{layer}.{part}.{parts[^1]}" : null;
    }

    private static string? Part(ModelConfig config, string module)
    {
        if (module == config.Norms.BeforeAttention) return "attn_norm";
        if (module == config.Norms.AfterAttention) return "post_attention_norm";
        if (module == config.Norms.BeforeMlp) return "ffn_norm";
        if (module == config.Norms.AfterMlp) return "post_ffw_norm";
        if (module is "self_attn.q_norm" or "self_attn.k_norm") return $"attn_{module["self_attn.".Length..]}";
        return Array.Find(Projections, one => one.Module == module).Part;
    }
}
