using System.Globalization;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>A model family as llama.cpp knows it: the architecture's name, the order of rotated rows, and the places of a layer's modules.</summary>
public sealed record GgufArchitecture
{
    private const string PostNorm = "post_attention_norm";

    // Modules that only their part knows, by the end of their path; a tensor's name in the file, with its ending where it is not .weight.
    private static readonly (string End, string Name)[] Parts =
    [
        ("self_attn.sinks", "attn_sinks.weight"), ("layer_scalar", "layer_output_scale.weight"),
        ("mlp.gate.e_score_correction_bias", "exp_probs_b.bias"), ("shared_experts.gate_proj", "ffn_gate_shexp"),
        ("shared_experts.up_proj", "ffn_up_shexp"), ("shared_experts.down_proj", "ffn_down_shexp"),
        ("conv.in_proj", "shortconv.in_proj"), ("conv.out_proj", "shortconv.out_proj"), ("conv.conv.weight", "shortconv.conv.weight"),
        ("mlp.gate.weight", "ffn_gate_inp.weight"), ("router.weight", "ffn_gate_inp.weight"), ("router.bias", "ffn_gate_inp.bias"),
        ("router.proj.weight", "ffn_gate_inp.weight"), ("router.layer.weight", "ffn_gate_inp.weight"),
        ("feed_forward.gate.weight", "ffn_gate_inp.weight"), ("feed_forward.expert_bias", "exp_probs_b.bias"),
        ("mixer.gate.weight", "ffn_gate_inp.weight"), ("mixer.gate.e_score_correction_bias", "exp_probs_b.bias"),
        ("mixer.fc1_latent_proj", "ffn_latent_down"), ("mixer.fc2_latent_proj", "ffn_latent_up"),
        ("shared_mlp.output_linear", "ffn_down_shexp"),
        ("router.scale", "ffn_gate_inp.scale"), ("router.per_expert_scale", "ffn_down_exps.scale"),
        ("shared_expert.gate_proj", "ffn_gate_shexp"), ("shared_expert.up_proj", "ffn_up_shexp"), ("shared_expert.down_proj", "ffn_down_shexp"),
        ("shared_expert_gate", "ffn_gate_inp_shexp"),
        ("linear_attn.in_proj_qkv", "attn_qkv"), ("linear_attn.in_proj_z", "attn_gate"), ("linear_attn.in_proj_b", "ssm_beta"),
        ("linear_attn.in_proj_a", "ssm_alpha"), ("linear_attn.in_proj_ba", "ssm_ba"),
        ("linear_attn.out_proj", "ssm_out"), ("linear_attn.norm", "ssm_norm"), ("linear_attn.conv1d.weight", "ssm_conv1d.weight"),
        ("linear_attn.A_log", "ssm_a"), ("linear_attn.dt_bias", "ssm_dt.bias"),
        ("self_attn.q_a_proj", "attn_q_a"), ("self_attn.q_a_layernorm", "attn_q_a_norm"), ("self_attn.q_b_proj", "attn_q_b"),
        ("self_attn.q_proj", "attn_q"), ("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"), ("self_attn.kv_a_layernorm", "attn_kv_a_norm"),
        ("self_attn.o_proj", "attn_output"),
        ("altup.correction_coefs", "altup_correct_coef"), ("altup.prediction_coefs", "altup_predict_coef"), ("altup.modality_router", "altup_router"),
        ("altup.router_norm", "altup_router_norm"), ("altup.correct_output_scale", "altup_correct_scale.weight"),
        ("laurel.linear_left", "laurel_l"), ("laurel.linear_right", "laurel_r"), ("laurel.post_laurel_norm", "laurel_post_norm"),
        ("pre_feedforward_layernorm", "ffn_norm"), ("post_feedforward_layernorm_1", "post_ffw_norm_1"), ("pre_feedforward_layernorm_2", "pre_ffw_norm_2"),
        ("post_feedforward_layernorm_2", "post_ffw_norm_2"),
        ("per_layer_input_gate", "inp_gate"), ("per_layer_projection", "proj"), ("post_per_layer_input_norm", "post_norm"),
        ("embed_tokens_per_layer", "per_layer_token_embd"), ("per_layer_model_projection", "per_layer_model_proj"),
        ("per_layer_projection_norm", "per_layer_proj_norm"),
    ];

    // Of a state-space mixer, below its path.
    private static readonly (string End, string Name)[] MambaParts =
    [
        ("in_proj", "ssm_in"), ("out_proj", "ssm_out"), ("norm", "ssm_norm"), ("conv1d.weight", "ssm_conv1d.weight"), ("conv1d.bias", "ssm_conv1d.bias"),
        ("A_log", "ssm_a"), ("D", "ssm_d"), ("dt_bias", "ssm_dt.bias"),
    ];

    /// <summary>general.architecture.</summary>
    public required string Name { get; init; }

    /// <summary>Whether the rows of q and k lie in pairs and not in halves; see <see cref="RotaryOrder"/>.</summary>
    public required bool IsPermuted { get; init; }

    /// <summary>Name of the norm before the feed-forward block; most often its own, in some the one of the norm behind attention.</summary>
    public string LateNorm { get; init; } = "ffn_norm";

    /// <summary>That norm's name has no ending.</summary>
    public bool IsLateNormBare { get; init; }

    private bool AdaptsAttention { get; init; } = true;

    /// <summary>Name of the norm before the head.</summary>
    public string FinalNorm { get; init; } = "output_norm";

    /// <summary>The architecture of a model, or null for a family that llama.cpp does not have or that is not mapped here.</summary>
    /// <param name="config">The model; some families have two architectures there.</param>
    public static GgufArchitecture? Of(ModelConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        return config.ModelType switch
        {
            "granitemoehybrid" when config.Layers.Any(layer => layer.Mixer is Mamba2) => new() { Name = "granitehybrid", IsPermuted = true },
            "granitemoehybrid" => new() { Name = config.Experts is null ? "granite" : "granitemoe", IsPermuted = true },
            "nemotron_h" => new() { Name = config.Experts is null ? "nemotron_h" : "nemotron_h_moe", IsPermuted = true, LateNorm = "attn_norm" },
            var type => Of(type),
        };
    }

    private static GgufArchitecture? Of(string modelType) => modelType switch
    {
        "llama" or "mistral" or "mixtral" => new() { Name = "llama", IsPermuted = true },
        "granite" or "smollm3" or "granitemoe" => new() { Name = modelType, IsPermuted = true },
        "ministral3" => new() { Name = "mistral3", IsPermuted = true },
        "qwen2" or "qwen3" or "phi3" or "gemma" or "gemma2" or "olmo2" or "olmoe" => new() { Name = modelType, IsPermuted = false },
        // Families that turn neighbouring pairs do so in either program.
        "glm4" or "ernie4_5" or "cohere2" or "exaone4" or "starcoder2" or "stablelm" or "nemotron" => new() { Name = modelType, IsPermuted = false },
        "cohere" => new() { Name = "command-r", IsPermuted = false },
        "arcee" => new() { Name = "arcee", IsPermuted = true },
        "phi" => new() { Name = "phi2", IsPermuted = false },
        "olmo3" => new() { Name = "olmo2", IsPermuted = false },
        "hunyuan_v1_dense" => new() { Name = "hunyuan-dense", IsPermuted = false },
        "seed_oss" => new() { Name = "seed_oss", IsPermuted = false, LateNorm = PostNorm },
        "glm4_moe" => new() { Name = "glm4moe", IsPermuted = false, LateNorm = PostNorm },
        "lfm2" => new() { Name = "lfm2", IsPermuted = false, FinalNorm = "token_embd_norm" },
        "qwen2_moe" or "qwen3_moe" => new() { Name = modelType.Replace("_", "", StringComparison.Ordinal), IsPermuted = false },
        "qwen2_vl_text" or "qwen2_5_vl_text" => new() { Name = "qwen2vl", IsPermuted = false },
        "qwen3_vl_text" => new() { Name = "qwen3vl", IsPermuted = false },
        "qwen3_vl_moe_text" => new() { Name = "qwen3vlmoe", IsPermuted = false },
        "gemma3" or "gemma3_text" => new() { Name = "gemma3", IsPermuted = false },
        "gemma4_text" => new() { Name = "gemma4", IsPermuted = false },
        "gpt_oss" => new() { Name = "gpt-oss", IsPermuted = false, LateNorm = PostNorm },
        "qwen3_5_text" => new() { Name = "qwen35", IsPermuted = false, LateNorm = PostNorm },
        "qwen3_5_moe_text" => new() { Name = "qwen35moe", IsPermuted = false, LateNorm = PostNorm },
        "qwen3_next" => new() { Name = "qwen3next", IsPermuted = false, LateNorm = PostNorm },
        "deepseek_v3" or "glm4_moe_lite" => new() { Name = "deepseek2", IsPermuted = false, AdaptsAttention = false },
        "apertus" => new() { Name = "apertus", IsPermuted = false },
        "falcon_h1" => new() { Name = "falcon-h1", IsPermuted = false, IsLateNormBare = true },
        "llama4_text" => new() { Name = "llama4", IsPermuted = false },
        "lfm2_moe" => new() { Name = "lfm2moe", IsPermuted = false, FinalNorm = "token_embd_norm" },
        "gemma3n_text" => new() { Name = "gemma3n", IsPermuted = false },
        _ => null,
    };

    /// <summary>Whether an adapter of a module is added where llama.cpp multiplies by its weight: deepseek2's way into attention leaves adapters out.</summary>
    /// <param name="module">A module of the family.</param>
    public bool TakesAdapter(ModuleBlueprint module)
    {
        ArgumentNullException.ThrowIfNull(module);
        return AdaptsAttention || !module.PathInLayer.StartsWith("self_attn.", StringComparison.Ordinal) || module.Name == "o_proj";
    }

    /// <summary>Name in the file of a module's weight or bias.</summary>
    /// <param name="module">A module of a family that has an architecture.</param>
    /// <param name="isBias">Whether its bias is meant.</param>
    /// <returns>The name, or null where the file has no place for it.</returns>
    public string? TensorOf(ModuleBlueprint module, bool isBias = false)
    {
        ArgumentNullException.ThrowIfNull(module);
        var part = module.Role == ModuleRole.Part ? OfPart(module) : OfRole(module.Role);
        if (part is null) return null;
        var name = Below(module, part);
        var isBare = module.Kind == ModuleKind.Parameter || (IsLateNormBare && module.Role == ModuleRole.BeforeMlp);
        return isBare ? name : name + (isBias ? ".bias" : ".weight");
    }

    /// <summary>A name below the layer of a module.</summary>
    internal static string Below(ModuleBlueprint module, string name)
        => module.Layer < 0 ? name : string.Create(CultureInfo.InvariantCulture, $"blk.{module.Layer}.{name}");

    private static string? OfPart(ModuleBlueprint module)
    {
        if (Found(Parts, module.Path) is { } part) return part;
        return module.PathInLayer.Split('.', 2) is ["mamba" or "mixer", var rest] ? MambaParts.FirstOrDefault(one => one.End == rest).Name : null;
    }

    private static string? Found((string End, string Name)[] parts, string path)
        => parts.FirstOrDefault(one => path.EndsWith("." + one.End, StringComparison.Ordinal)).Name;

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
        ModuleRole.BeforeMlp => LateNorm,
        ModuleRole.AfterMlp => "post_ffw_norm",
        ModuleRole.QueryNorm => "attn_q_norm",
        ModuleRole.KeyNorm => "attn_k_norm",
        _ => null,
    };
}
