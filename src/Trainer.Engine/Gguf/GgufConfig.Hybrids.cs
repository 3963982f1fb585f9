using System.Text.Json.Nodes;

namespace Trainer.Engine.Gguf;

/// <summary>Keys of state-space mixers, latent attention, blocks of positions and several streams.</summary>
internal sealed partial class GgufConfig
{
    private static bool IsPartlyRotated(string type) => type is not ("deepseek_v3" or "nemotron_h");

    private void Hybrid(string type)
    {
        switch (type)
        {
            case "granitemoe" or "granitemoehybrid":
                _config["embedding_multiplier"] = Number("embedding_scale", 1);
                _config["residual_multiplier"] = Number("residual_scale", 1);
                _config["attention_multiplier"] = Number("attention.scale", 1 / Math.Sqrt(Whole("embedding_length") / (double)Whole("attention.head_count")));
                _config["logits_scaling"] = Number("logit_scale", 1);
                if (type == "granitemoehybrid") GraniteHybrid();
                break;
            case "falcon_h1":
                Mamba();
                _config["mamba_d_ssm"] = Whole("ssm.inner_size");
                _config["mamba_n_heads"] = Whole("ssm.time_step_rank");
                _config["mamba_rms_norm"] = _file.ByName.ContainsKey("blk.0.ssm_norm.weight");
                _config["mamba_norm_before_gate"] = false;
                _config["mamba_conv_bias"] = _file.ByName.ContainsKey("blk.0.ssm_conv1d.bias");
                break;
            case "nemotron_h":
                NemotronH();
                break;
            case "deepseek_v3":
                Latent();
                break;
            case "qwen3_next":
                Delta();
                _config["shared_expert_intermediate_size"] = Whole("expert_shared_feed_forward_length", Whole("expert_feed_forward_length"));
                _config["norm_topk_prob"] = true;
                break;
            case "llama4_text":
                Llama4();
                break;
            case "lfm2_moe":
                ShortConvolutions();
                Sigmoid();
                _config["num_dense_layers"] = Whole("leading_dense_block_count", 0);
                break;
            case "gemma3n_text":
                Streams();
                break;
        }
    }

    private void Delta()
    {
        _config["full_attention_interval"] = Whole("full_attention_interval", 4);
        _config["linear_conv_kernel_dim"] = Whole("ssm.conv_kernel");
        _config["linear_key_head_dim"] = Whole("ssm.state_size");
        _config["linear_num_key_heads"] = Whole("ssm.group_count");
        _config["linear_num_value_heads"] = Whole("ssm.time_step_rank");
        _config["linear_value_head_dim"] = Whole("ssm.inner_size") / Math.Max(1, Whole("ssm.time_step_rank"));
    }

    private void ShortConvolutions()
    {
        _config["conv_L_cache"] = Whole("shortconv.l_cache");
        _config["layer_types"] = new JsonArray([.. KvHeads().Select(count => (JsonNode)(count > 0 ? "full_attention" : "conv"))]);
    }

    private void Mamba()
    {
        _config["mamba_d_conv"] = Whole("ssm.conv_kernel");
        _config["mamba_d_state"] = Whole("ssm.state_size");
        _config["mamba_n_groups"] = Whole("ssm.group_count", 1);
    }

    // Without a state-space mixer the architecture is another, which has no list of kinds.
    private void GraniteHybrid()
    {
        var isHybrid = _architecture == "granitehybrid";
        var kinds = isHybrid ? [.. KvHeads().Select(count => count > 0 ? "attention" : "mamba")]
            : Enumerable.Repeat("attention", Whole("block_count")).ToArray();
        _config["layer_types"] = new JsonArray([.. kinds.Select(kind => (JsonNode)kind)]);
        _config["position_embedding_type"] = !isHybrid || Own("rope.scaling.finetuned") is true ? "rope" : "nope";
        var experts = Whole("expert_count", 0);
        _config["num_local_experts"] = experts;
        _config["shared_intermediate_size"] = experts > 0 ? Whole("expert_shared_feed_forward_length") : Whole("feed_forward_length");
        if (!isHybrid) return;
        Mamba();
        int heads = Whole("ssm.time_step_rank"), inner = Whole("ssm.inner_size"), hidden = Whole("embedding_length");
        if (inner % hidden != 0) throw Bad(_file, $"'{_architecture}.ssm.inner_size' {inner} is no multiple of the width {hidden}");
        _config["mamba_n_heads"] = heads;
        _config["mamba_expand"] = inner / hidden;
        _config["mamba_conv_bias"] = _file.ByName.Keys.Any(name => name.EndsWith(".ssm_conv1d.bias", StringComparison.Ordinal));
    }

    private void NemotronH()
    {
        int[] kv = Kinds("attention.head_count_kv"), widths = Kinds("feed_forward_length");
        var isMixture = Whole("expert_count", 0) > 0;
        _config["hybrid_override_pattern"] = string.Concat(kv.Zip(widths, (heads, width) => heads > 0 ? '*' : width == 0 ? 'M' : isMixture ? 'E' : '-'));
        _config["mamba_num_heads"] = Whole("ssm.time_step_rank");
        _config["mamba_head_dim"] = Whole("ssm.inner_size") / Math.Max(1, Whole("ssm.time_step_rank"));
        _config["n_groups"] = Whole("ssm.group_count");
        _config["ssm_state_size"] = Whole("ssm.state_size");
        _config["conv_kernel"] = Whole("ssm.conv_kernel");
        _config["use_conv_bias"] = _file.ByName.Keys.Any(name => name.EndsWith(".ssm_conv1d.bias", StringComparison.Ordinal));
        if (!isMixture) return;
        Sigmoid();
        _config["moe_shared_expert_intermediate_size"] = Whole("expert_shared_feed_forward_length");
        if (Own("moe_latent_size") is not null) _config["moe_latent_size"] = Whole("moe_latent_size");
    }

    private void Latent()
    {
        if (Own("attention.kv_lora_rank") is null) throw Missing("attention.kv_lora_rank");
        var rotated = Whole("rope.dimension_count");
        _config["q_lora_rank"] = Own("attention.q_lora_rank") is null ? null : Whole("attention.q_lora_rank");
        _config["kv_lora_rank"] = Whole("attention.kv_lora_rank");
        _config["qk_rope_head_dim"] = rotated;
        _config["qk_nope_head_dim"] = Whole("attention.key_length_mla", Whole("attention.key_length", 0)) - rotated;
        _config["v_head_dim"] = Whole("attention.value_length_mla", Whole("attention.value_length", 0));
        _config["first_k_dense_replace"] = Whole("leading_dense_block_count", 0);
        _config["n_shared_experts"] = Whole("expert_shared_count");
        // Files of GLM 4.7 Flash may lack the key.
        if (Own("expert_gating_func") is null && Whole("block_count") is not (47 or 48)) throw Missing("expert_gating_func");
        Sigmoid();
    }

    // How scores of experts are made; what softmax makes of them is another family's.
    private void Sigmoid()
    {
        if (Whole("expert_gating_func", 2) is not 2 and var other)
            throw Bad(_file, $"'{_architecture}.expert_gating_func' is {other}, only scores by a sigmoid (2) are read for the architecture");
        Given(_config, "routed_scaling_factor", "expert_weights_scale");
        _config["norm_topk_prob"] = _architecture == "lfm2moe" || Own("expert_weights_norm") is true;
        if (Whole("expert_group_count", 1) is > 1 and var groups)
            (_config["n_group"], _config["topk_group"]) = (groups, Whole("expert_group_used_count"));
    }

    private void Llama4()
    {
        if (Own("attention.sliding_window") is 0u) throw Bad(_file, "all its layers attend to everything, which is not read for llama4");
        _config["intermediate_size_mlp"] = Whole("feed_forward_length");
        _config["interleave_moe_layer_step"] = Whole("interleave_moe_layer_step");
        _config["attention_chunk_size"] = 8192;
        _config["use_qk_norm"] = Whole("expert_count") != 128;
    }

    private void Streams()
    {
        var layers = Whole("block_count");
        _config["intermediate_size"] = new JsonArray([.. Each("feed_forward_length").Select(width => (JsonNode)width)]);
        _config["num_kv_shared_layers"] = Whole("attention.shared_kv_layers", layers - GgufRefusals.StreamSources);
        _config["sliding_window"] = Whole("attention.sliding_window");
        _config["layer_types"] = new JsonArray([.. Enumerable.Range(0, layers)
            .Select(layer => (JsonNode)((layer + 1) % 5 != 0 ? "sliding_attention" : "full_attention"))]);
        _config["activation_sparsity_pattern"] = new JsonArray([.. Enumerable.Range(0, layers)
            .Select(layer => (JsonNode)(layer < GgufRefusals.SparseStreamLayers ? GgufRefusals.StreamSparsity : 0.0))]);
        _config["hidden_size_per_layer_input"] = Whole("embedding_length_per_layer_input", 256);
        _config["vocab_size_per_layer_input"] = Dimension("per_layer_token_embd.weight", 1);
        _config["altup_num_inputs"] = Whole("altup.num_inputs", 4);
        _config["altup_active_idx"] = Whole("altup.active_idx", 0);
        _config["laurel_rank"] = Dimension("blk.0.laurel_l.weight", 1);
        _config["final_logit_softcapping"] = Number("final_logit_softcapping", 30);
        _config["rope_local_base_freq"] = Number("rope.freq_base_swa", 10_000);
    }

    // A number for each layer, 0 where the layer is of another kind.
    private int[] Kinds(string key) => Own(key) switch
    {
        int[] values when values.Length == Whole("block_count") && values.All(value => value >= 0) => values,
        uint[] values when values.Length == Whole("block_count") => [.. values.Select(value => (int)value)],
        _ => throw Bad(_file, $"'{_architecture}.{key}' is no list of {Whole("block_count")} numbers, one for each layer"),
    };
}
