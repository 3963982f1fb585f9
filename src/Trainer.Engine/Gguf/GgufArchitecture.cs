using System.Globalization;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>A model family as llama.cpp knows it: the architecture's name, the order of rotated rows, and the places of a layer's modules.</summary>
public sealed record GgufArchitecture
{
    // Modules that only their part knows, by the end of their path; a tensor's name in the file, with its ending where it is not .weight.
    private static readonly (string End, string Name)[] Parts =
    [
        ("self_attn.sinks", "attn_sinks.weight"), ("layer_scalar", "layer_output_scale.weight"),
        ("mlp.gate.e_score_correction_bias", "exp_probs_b.bias"), ("shared_experts.gate_proj", "ffn_gate_shexp"),
        ("shared_experts.up_proj", "ffn_up_shexp"), ("shared_experts.down_proj", "ffn_down_shexp"),
        ("conv.in_proj", "shortconv.in_proj"), ("conv.out_proj", "shortconv.out_proj"), ("conv.conv.weight", "shortconv.conv.weight"),
        ("mlp.gate.weight", "ffn_gate_inp.weight"), ("router.weight", "ffn_gate_inp.weight"), ("router.bias", "ffn_gate_inp.bias"),
        ("router.proj.weight", "ffn_gate_inp.weight"),
        ("router.scale", "ffn_gate_inp.scale"), ("router.per_expert_scale", "ffn_down_exps.scale"),
        ("shared_expert.gate_proj", "ffn_gate_shexp"), ("shared_expert.up_proj", "ffn_up_shexp"), ("shared_expert.down_proj", "ffn_down_shexp"),
        ("shared_expert_gate", "ffn_gate_inp_shexp"),
        ("linear_attn.in_proj_qkv", "attn_qkv"), ("linear_attn.in_proj_z", "attn_gate"), ("linear_attn.in_proj_b", "ssm_beta"),
        ("linear_attn.in_proj_a", "ssm_alpha"),
        ("linear_attn.out_proj", "ssm_out"), ("linear_attn.norm", "ssm_norm"), ("linear_attn.conv1d.weight", "ssm_conv1d.weight"),
        ("linear_attn.A_log", "ssm_a"), ("linear_attn.dt_bias", "ssm_dt.bias"),
        ("pre_feedforward_layernorm", "ffn_norm"), ("post_feedforward_layernorm_1", "post_ffw_norm_1"), ("pre_feedforward_layernorm_2", "pre_ffw_norm_2"),
        ("post_feedforward_layernorm_2", "post_ffw_norm_2"),
        ("per_layer_input_gate", "inp_gate"), ("per_layer_projection", "proj"), ("post_per_layer_input_norm", "post_norm"),
        ("embed_tokens_per_layer", "per_layer_token_embd"), ("per_layer_model_projection", "per_layer_model_proj"),
        ("per_layer_projection_norm", "per_layer_proj_norm"),
    ];

    /// <summary>general.architecture.</summary>
    public required string Name { get; init; }

    /// <summary>Whether the rows of q and k lie in pairs and not in halves; see <see cref="RotaryOrder"/>.</summary>
    public required bool IsPermuted { get; init; }

    /// <summary>The norm before the feed-forward block goes by the name of the one behind attention.</summary>
    public bool NamesLateNorm { get; init; }

    /// <summary>Name of the norm before the head.</summary>
    public string FinalNorm { get; init; } = "output_norm";

    /// <summary>The architecture of a model_type, or null for a family that llama.cpp does not have or that is not mapped here.</summary>
    /// <param name="modelType">model_type of config.json, of a multimodal one its text model's.</param>
    public static GgufArchitecture? Of(string modelType) => modelType switch
    {
        "llama" or "mistral" or "mixtral" => new() { Name = "llama", IsPermuted = true },
        "granite" or "smollm3" => new() { Name = modelType, IsPermuted = true },
        "ministral3" => new() { Name = "mistral3", IsPermuted = true },
        "qwen2" or "qwen3" or "phi3" or "gemma" or "gemma2" or "olmo2" or "olmoe" => new() { Name = modelType, IsPermuted = false },
        // Families that turn neighbouring pairs do so in either program.
        "glm4" or "ernie4_5" or "cohere2" or "exaone4" or "starcoder2" or "stablelm" or "nemotron" => new() { Name = modelType, IsPermuted = false },
        "cohere" => new() { Name = "command-r", IsPermuted = false },
        "arcee" => new() { Name = "arcee", IsPermuted = true },
        "phi" => new() { Name = "phi2", IsPermuted = false },
        "olmo3" => new() { Name = "olmo2", IsPermuted = false },
        "hunyuan_v1_dense" => new() { Name = "hunyuan-dense", IsPermuted = false },
        "seed_oss" => new() { Name = "seed_oss", IsPermuted = false, NamesLateNorm = true },
        "glm4_moe" => new() { Name = "glm4moe", IsPermuted = false, NamesLateNorm = true },
        "lfm2" => new() { Name = "lfm2", IsPermuted = false, FinalNorm = "token_embd_norm" },
        "qwen2_moe" or "qwen3_moe" => new() { Name = modelType.Replace("_", "", StringComparison.Ordinal), IsPermuted = false },
        "qwen2_vl_text" or "qwen2_5_vl_text" => new() { Name = "qwen2vl", IsPermuted = false },
        "qwen3_vl_text" => new() { Name = "qwen3vl", IsPermuted = false },
        "qwen3_vl_moe_text" => new() { Name = "qwen3vlmoe", IsPermuted = false },
        "gemma3" or "gemma3_text" => new() { Name = "gemma3", IsPermuted = false },
        "gemma4_text" => new() { Name = "gemma4", IsPermuted = false },
        "gpt_oss" => new() { Name = "gpt-oss", IsPermuted = false, NamesLateNorm = true },
        "qwen3_5_text" => new() { Name = "qwen35", IsPermuted = false, NamesLateNorm = true },
        "qwen3_5_moe_text" => new() { Name = "qwen35moe", IsPermuted = false, NamesLateNorm = true },
        _ => null,
    };

    /// <summary>Name in the file of a module's weight or bias.</summary>
    /// <param name="module">A module of a family that has an architecture.</param>
    /// <param name="isBias">Whether its bias is meant.</param>
    /// <returns>The name, or null where the file has no place for it.</returns>
    public string? TensorOf(ModuleBlueprint module, bool isBias = false)
    {
        ArgumentNullException.ThrowIfNull(module);
        var part = module.Role == ModuleRole.Part
            ? Parts.FirstOrDefault(one => module.Path.EndsWith("." + one.End, StringComparison.Ordinal)).Name : OfRole(module.Role);
        if (part is null) return null;
        var name = module.Layer < 0 ? part : string.Create(CultureInfo.InvariantCulture, $"blk.{module.Layer}.{part}");
        return module.Kind == ModuleKind.Parameter ? name : name + (isBias ? ".bias" : ".weight");
    }

    // Fused projections are those of phi3 and glm4, whose ffn_up holds gate and up.
    private string? OfRole(ModuleRole role) => role switch
    {
        ModuleRole.Embedding => "token_embd",
        ModuleRole.FinalNorm => FinalNorm,
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
        ModuleRole.BeforeMlp => NamesLateNorm ? "post_attention_norm" : "ffn_norm",
        ModuleRole.AfterMlp => "post_ffw_norm",
        ModuleRole.QueryNorm => "attn_q_norm",
        ModuleRole.KeyNorm => "attn_k_norm",
        _ => null,
    };
}
