using Trainer.Engine.Tests.Models;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Small models of the families that llama.cpp has, as config.json.</summary>
internal static class GgufModels
{
    private const string Common = "\"vocab_size\": 96, \"hidden_size\": 32, \"num_hidden_layers\": 4, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
        + "\"max_position_embeddings\": 128, \"rms_norm_eps\": 1e-6";
    private const string Experts = "\"num_experts\": 5, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 32, \"intermediate_size\": 48";
    private const string Delta = "\"head_dim\": 16, \"linear_num_key_heads\": 2, \"linear_num_value_heads\": 6, \"linear_key_head_dim\": 8, "
        + "\"linear_value_head_dim\": 8, \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 10000, \"partial_rotary_factor\": 0.5, "
        + "\"mrope_section\": [2, 1, 1]}";
    private const string Gemma = "\"head_dim\": 8, \"global_head_dim\": 16, \"sliding_window\": 8, \"intermediate_size\": 48, \"final_logit_softcapping\": "
        + "20.0, \"layer_types\": [\"sliding_attention\", \"full_attention\", \"sliding_attention\", \"full_attention\"], \"tie_word_embeddings\": true, "
        + "\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"proportional\", \"rope_theta\": 1000000, \"partial_rotary_factor\": 0.5}, "
        + "\"sliding_attention\": {\"rope_type\": \"default\", \"rope_theta\": 10000}}";

    private const string Latent = "\"intermediate_size\": 48, \"kv_lora_rank\": 32, \"qk_nope_head_dim\": 32, \"qk_rope_head_dim\": 8, \"v_head_dim\": 16, "
        + "\"n_routed_experts\": 6, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 32, \"n_shared_experts\": 2, \"routed_scaling_factor\": 2.5, "
        + "\"tie_word_embeddings\": false";
    private const string Falcon = "\"head_dim\": 16, \"intermediate_size\": 48, \"mamba_d_ssm\": 64, \"mamba_n_heads\": 4, \"mamba_d_state\": 16, "
        + "\"mamba_n_groups\": 2, \"mamba_d_conv\": 4, \"attention_in_multiplier\": 0.5, \"attention_out_multiplier\": 0.7, \"ssm_in_multiplier\": 1.25, "
        + "\"ssm_out_multiplier\": 0.3, \"key_multiplier\": 0.4, \"mlp_multipliers\": [0.9, 0.6], \"ssm_multipliers\": [0.3, 0.5, 0.7, 1.1, 1.3], "
        + "\"embedding_multiplier\": 5.5, \"lm_head_multiplier\": 0.2";
    private const string Granite = "\"embedding_multiplier\": 3, \"attention_multiplier\": 0.3, \"residual_multiplier\": 0.7, \"logits_scaling\": 2";
    private const string Hybrid = "\"layer_types\": [\"mamba\", \"attention\", \"mamba\", \"mamba\"], \"mamba_n_heads\": 4, \"mamba_expand\": 2, "
        + "\"mamba_d_state\": 16, \"mamba_n_groups\": 1, \"mamba_d_conv\": 4";
    private const string Nemotron = "\"head_dim\": 16, \"mamba_num_heads\": 4, \"mamba_head_dim\": 16, \"n_groups\": 2, \"ssm_state_size\": 16, "
        + "\"conv_kernel\": 4, \"layer_norm_epsilon\": 1e-5, \"tie_word_embeddings\": false";

    /// <summary>Text of config.json by name.</summary>
    public static readonly Dictionary<string, string> All = new()
    {
        ["qwen3_moe"] = $"{{\"model_type\": \"qwen3_moe\", {Common}, {Experts}, \"head_dim\": 8, \"norm_topk_prob\": true, \"tie_word_embeddings\": false}}",
        ["qwen2_moe"] = $"{{\"model_type\": \"qwen2_moe\", {Common}, {Experts}, \"shared_expert_intermediate_size\": 64, \"tie_word_embeddings\": false}}",
        ["olmoe"] = $"{{\"model_type\": \"olmoe\", {Common}, \"num_experts\": 5, \"num_experts_per_tok\": 2, \"intermediate_size\": 32, "
            + $"\"tie_word_embeddings\": false}}",
        ["mixtral"] = $"{{\"model_type\": \"mixtral\", {Common}, \"num_local_experts\": 5, \"num_experts_per_tok\": 2, \"intermediate_size\": 32, "
            + $"\"tie_word_embeddings\": false}}",
        ["gpt_oss"] = $"{{\"model_type\": \"gpt_oss\", {Common}, \"head_dim\": 16, \"num_local_experts\": 5, \"num_experts_per_tok\": 2, "
            + $"\"intermediate_size\": 32, \"sliding_window\": 8, \"tie_word_embeddings\": false, \"rope_scaling\": {{\"rope_type\": \"yarn\", \"factor\": 8, "
            + $"\"original_max_position_embeddings\": 16, \"truncate\": false}}}}",
        ["qwen3_5"] = $"{{\"model_type\": \"qwen3_5_text\", {Common}, {Delta}, \"intermediate_size\": 48, \"full_attention_interval\": 2, "
            + $"\"tie_word_embeddings\": true}}",
        ["qwen3_5_moe"] = $"{{\"model_type\": \"qwen3_5_moe_text\", {Common}, {Delta}, \"num_experts\": 5, \"num_experts_per_tok\": 2, "
            + $"\"moe_intermediate_size\": 32, \"shared_expert_intermediate_size\": 64, \"full_attention_interval\": 4, \"tie_word_embeddings\": false}}",
        ["gemma4_small"] = $"{{\"model_type\": \"gemma4_text\", {Common}, {Gemma}, \"num_kv_shared_layers\": 2, \"use_double_wide_mlp\": true, "
            + $"\"hidden_size_per_layer_input\": 8, \"vocab_size_per_layer_input\": 96}}",
        ["gemma4_large"] = $"{{\"model_type\": \"gemma4_text\", {Common}, {Gemma}, \"attention_k_eq_v\": true, \"num_global_key_value_heads\": 1, "
            + $"\"hidden_size_per_layer_input\": 0}}",
        ["gemma4_moe"] = $"{{\"model_type\": \"gemma4_text\", {Common}, {Gemma}, \"enable_moe_block\": true, \"num_experts\": 5, \"top_k_experts\": 2, "
            + $"\"moe_intermediate_size\": 32, \"hidden_size_per_layer_input\": 0}}",
        ["qwen2_5_vl"] = Small("qwen2_5_vl_text", "\"intermediate_size\": 48, \"rope_scaling\": {\"type\": \"mrope\", \"mrope_section\": [1, 1, 2]}, "
            + "\"tie_word_embeddings\": false"),
        ["qwen3_vl"] = Small("qwen3_vl_text", "\"intermediate_size\": 48, \"head_dim\": 16, \"tie_word_embeddings\": true"),
        ["qwen3_vl_moe"] = Small("qwen3_vl_moe_text", $"{Experts}, \"head_dim\": 8, \"tie_word_embeddings\": false"),
        ["olmo3"] = Small("olmo3", "\"intermediate_size\": 48, \"sliding_window\": 8, \"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4, "
            + "\"original_max_position_embeddings\": 16}, \"tie_word_embeddings\": false"),
        ["exaone4"] = Small("exaone4", "\"intermediate_size\": 48, \"tie_word_embeddings\": false"),
        ["glm4"] = Small("glm4", "\"intermediate_size\": 48, \"head_dim\": 16, \"attention_bias\": true, \"tie_word_embeddings\": false"),
        ["glm4 turned whole"] = Small("glm4", "\"intermediate_size\": 48, \"head_dim\": 8, \"partial_rotary_factor\": 1.0, \"tie_word_embeddings\": false"),
        ["ernie4_5"] = Small("ernie4_5", "\"intermediate_size\": 48, \"head_dim\": 16, \"tie_word_embeddings\": true"),
        ["seed_oss"] = Small("seed_oss", "\"intermediate_size\": 48, \"head_dim\": 16, \"tie_word_embeddings\": false"),
        ["hunyuan"] = Small("hunyuan_v1_dense", "\"intermediate_size\": 48, \"head_dim\": 8, \"rope_scaling\": {\"type\": \"dynamic\", \"alpha\": 1000.0, "
            + "\"factor\": 1.0}, \"tie_word_embeddings\": true"),
        ["arcee"] = Small("arcee", "\"intermediate_size\": 48, \"head_dim\": 8, \"tie_word_embeddings\": false"),
        ["cohere"] = Small("cohere", "\"intermediate_size\": 48, \"logit_scale\": 0.25, \"use_qk_norm\": true, \"layer_norm_eps\": 1e-4"),
        ["cohere2"] = Small("cohere2", "\"intermediate_size\": 48, \"logit_scale\": 0.25, \"sliding_window\": 8"),
        ["starcoder2"] = Small("starcoder2", "\"intermediate_size\": 48, \"norm_epsilon\": 1e-4"),
        ["stablelm"] = Small("stablelm", "\"intermediate_size\": 48, \"use_qkv_bias\": true, \"tie_word_embeddings\": false"),
        ["stablelm side by side"] = Small("stablelm", "\"intermediate_size\": 48, \"use_parallel_residual\": true, \"tie_word_embeddings\": false"),
        ["phi"] = Small("phi", "\"intermediate_size\": 48, \"layer_norm_eps\": 1e-4"),
        ["nemotron"] = Small("nemotron", "\"intermediate_size\": 48, \"norm_eps\": 1e-4, \"tie_word_embeddings\": false"),
        ["lfm2"] = Small("lfm2", "\"intermediate_size\": 48, \"block_auto_adjust_ff_dim\": false, \"conv_L_cache\": 3, \"norm_eps\": 1e-4, "
            + "\"layer_types\": [\"conv\", \"full_attention\", \"conv\", \"full_attention\"]"),
        ["glm4_moe"] = Small("glm4_moe", "\"intermediate_size\": 48, \"head_dim\": 8, \"n_routed_experts\": 5, \"num_experts_per_tok\": 2, "
            + "\"moe_intermediate_size\": 32, \"n_shared_experts\": 2, \"first_k_dense_replace\": 1, \"routed_scaling_factor\": 1.5, \"use_qk_norm\": true, "
            + "\"attention_bias\": true, \"tie_word_embeddings\": false"),
        ["ministral3"] = $"{{\"model_type\": \"ministral3\", {Common}, \"head_dim\": 16, \"intermediate_size\": 48, \"tie_word_embeddings\": true, "
            + $"\"rope_parameters\": {{\"rope_type\": \"yarn\", \"rope_theta\": 1000000, \"factor\": 8, \"original_max_position_embeddings\": 16, "
            + $"\"beta_fast\": 32, \"beta_slow\": 1, \"mscale\": 1, \"mscale_all_dim\": 1, \"llama_4_scaling_beta\": 0.1}}}}",
        ["qwen3_next"] = $"{{\"model_type\": \"qwen3_next\", {Common}, {Delta}, {Experts}, \"shared_expert_intermediate_size\": 64, "
            + $"\"full_attention_interval\": 4, \"tie_word_embeddings\": false}}",
        ["deepseek_v3"] = Small("deepseek_v3", $"{Latent}, \"q_lora_rank\": 24, \"first_k_dense_replace\": 1, \"n_group\": 3, \"topk_group\": 2, "
            + "\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"original_max_position_embeddings\": 16, \"mscale\": 0.707, \"mscale_all_dim\": 0.707}"),
        ["glm4_moe_lite"] = Small("glm4_moe_lite", $"{Latent}, \"q_lora_rank\": null, \"rope_theta\": 1000000"),
        ["apertus"] = Small("apertus", "\"intermediate_size\": 48, \"tie_word_embeddings\": false, \"hidden_act\": \"xielu\", \"rope_theta\": 50000"),
        ["falcon_h1"] = Small("falcon_h1", $"{Falcon}, \"mamba_rms_norm\": true, \"mamba_norm_before_gate\": false, \"tie_word_embeddings\": false"),
        ["falcon_h1 tied"] = Small("falcon_h1", $"{Falcon}, \"mamba_rms_norm\": false, \"tie_word_embeddings\": true"),
        ["granitemoe"] = Small("granitemoe", $"{Granite}, \"intermediate_size\": 32, \"num_local_experts\": 5, \"num_experts_per_tok\": 2, "
            + "\"tie_word_embeddings\": true"),
        ["granitehybrid"] = Small("granitemoehybrid", $"{Granite}, {Hybrid}, \"intermediate_size\": 48, \"shared_intermediate_size\": 48, "
            + "\"num_local_experts\": 0, \"position_embedding_type\": \"nope\", \"tie_word_embeddings\": true"),
        ["granitehybrid experts"] = Small("granitemoehybrid", $"{Granite}, {Hybrid}, \"intermediate_size\": 32, \"shared_intermediate_size\": 64, "
            + "\"num_local_experts\": 5, \"num_experts_per_tok\": 2, \"position_embedding_type\": \"rope\", \"tie_word_embeddings\": false"),
        ["granitehybrid attends"] = Small("granitemoehybrid", $"{Granite}, \"layer_types\": [\"attention\", \"attention\", \"attention\", \"attention\"], "
            + "\"intermediate_size\": 32, \"shared_intermediate_size\": 64, \"num_local_experts\": 5, \"num_experts_per_tok\": 2, "
            + "\"position_embedding_type\": \"rope\", \"tie_word_embeddings\": false"),
        ["nemotron_h"] = Small("nemotron_h", $"{Nemotron}, \"hybrid_override_pattern\": \"M-*-\", \"intermediate_size\": 48"),
        ["nemotron_h experts"] = Small("nemotron_h", $"{Nemotron}, \"hybrid_override_pattern\": \"ME*E\", \"n_routed_experts\": 5, "
            + "\"num_experts_per_tok\": 2, \"moe_intermediate_size\": 32, \"moe_shared_expert_intermediate_size\": 64, \"n_group\": 1, \"topk_group\": 1, "
            + "\"routed_scaling_factor\": 1.5, \"norm_topk_prob\": true, \"intermediate_size\": 48"),
        ["llama4"] = Small("llama4_text", "\"head_dim\": 8, \"intermediate_size\": 32, \"intermediate_size_mlp\": 48, \"num_local_experts\": 5, "
            + "\"num_experts_per_tok\": 1, \"interleave_moe_layer_step\": 2, \"attention_chunk_size\": 8192, \"tie_word_embeddings\": false"),
        ["lfm2_moe"] = Small("lfm2_moe", "\"intermediate_size\": 48, \"moe_intermediate_size\": 32, \"num_experts\": 5, \"num_experts_per_tok\": 2, "
            + "\"num_dense_layers\": 1, \"conv_L_cache\": 3, \"norm_eps\": 1e-4, "
            + "\"layer_types\": [\"conv\", \"full_attention\", \"conv\", \"full_attention\"]"),
        ["gemma3n"] = Gemma3n(),
        ["stablelm norms heads"] = Small("stablelm", "\"intermediate_size\": 48, \"qk_layernorm\": true, \"tie_word_embeddings\": false"),
    };

    private static string Small(string type, string more) => $"{{\"model_type\": \"{type}\", {Common}, {more}}}";

    // As small as llama.cpp's fixed numbers let it be.
    private static string Gemma3n()
    {
        const int Layers = 22;
        var kinds = string.Join(", ", Enumerable.Range(0, Layers).Select(layer => (layer + 1) % 5 != 0 ? "\"sliding_attention\"" : "\"full_attention\""));
        var cut = string.Join(", ", Enumerable.Range(0, Layers).Select(layer => layer < 10 ? "0.95" : "0.0"));
        return Small("gemma3n_text", $"\"head_dim\": 8, \"intermediate_size\": [48], \"sliding_window\": 8, \"layer_types\": [{kinds}], "
            + $"\"activation_sparsity_pattern\": [{cut}], \"num_kv_shared_layers\": 2, \"hidden_size_per_layer_input\": 256, "
            + "\"vocab_size_per_layer_input\": 90, \"laurel_rank\": 64, \"final_logit_softcapping\": 20.0, \"tie_word_embeddings\": true")
            .Replace("\"num_hidden_layers\": 4", $"\"num_hidden_layers\": {Layers}", StringComparison.Ordinal);
    }

    /// <summary>A tokenizer of three tokens.</summary>
    public const string Tokenizer =
        """{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"decoder":{"type":"ByteLevel"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}}""";

    /// <summary>The folder of a model with random weights.</summary>
    /// <param name="parent">Where it is made.</param>
    /// <param name="name">Which model.</param>
    /// <param name="config">config.json, if not the model's own.</param>
    public static string Write(string parent, string name, string? config = null)
    {
        var folder = Directory.CreateDirectory(Path.Combine(parent, "source-" + name)).FullName;
        RandomModel.Write(folder, config ?? All[name], perExpert: name is not ("gpt_oss" or "gemma4_moe"));
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), Tokenizer);
        return folder;
    }
}
