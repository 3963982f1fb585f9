using System.Globalization;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models;

namespace Trainer.Engine.Gguf;

/// <summary>GGUF metadata as config.json: the inverse of <see cref="GgufModelMetadata"/>, for the same architectures.</summary>
internal sealed partial class GgufConfig
{
    private readonly GgufFile _file;
    private readonly string _architecture;
    private readonly JsonObject _config = [];

    private GgufConfig(GgufFile file)
        => (_file, _architecture) = (file, file.Text("general.architecture") ?? throw Bad(file, "it names no 'general.architecture'"));

    /// <summary>config.json.</summary>
    /// <exception cref="ModelException">An architecture or a rope scaling that is not read, or a key that is missing; it is named.</exception>
    public static JsonObject Of(GgufFile file)
    {
        if (file.Text("general.type") is { } kind && kind != "model") throw Bad(file, $"it is of type '{kind}', not a model");
        if (file.Find("split.count")?.Value is { } parts && Convert.ToInt64(parts, CultureInfo.InvariantCulture) > 1)
            throw Bad(file, $"it is one of {parts} parts; join them with llama.cpp's gguf-split --merge");
        return new GgufConfig(file).Build();
    }

    private JsonObject Build()
    {
        var type = _architecture switch
        {
            "llama" or "granite" or "smollm3" or "qwen2" or "qwen3" or "phi3" or "gemma" or "gemma2" or "glm4" or "ernie4_5" or "cohere2" or "exaone4"
                or "starcoder2" or "stablelm" or "nemotron" or "arcee" or "seed_oss" or "lfm2" => _architecture,
            "olmo2" => Own("attention.sliding_window") is null ? "olmo2" : "olmo3",
            "command-r" => "cohere",
            "phi2" => "phi",
            "hunyuan-dense" => "hunyuan_v1_dense",
            "glm4moe" => "glm4_moe",
            "olmoe" => "olmoe",
            "gemma3" => "gemma3_text",
            "gemma4" => "gemma4_text",
            "gpt-oss" => "gpt_oss",
            "mistral3" => "ministral3",
            "qwen2moe" => "qwen2_moe",
            "qwen3moe" => "qwen3_moe",
            "qwen2vl" => "qwen2_5_vl_text",
            "qwen3vl" => "qwen3_vl_text",
            "qwen3vlmoe" => "qwen3_vl_moe_text",
            "qwen35" => "qwen3_5_text",
            "qwen35moe" => "qwen3_5_moe_text",
            "qwen3next" => "qwen3_next",
            "deepseek2" => "deepseek_v3",
            "apertus" => "apertus",
            "falcon-h1" => "falcon_h1",
            "granitehybrid" => "granitemoehybrid",
            "granitemoe" => Own("expert_shared_feed_forward_length") is null ? "granitemoe" : "granitemoehybrid",
            "nemotron_h" or "nemotron_h_moe" => "nemotron_h",
            "llama4" => "llama4_text",
            "lfm2moe" => "lfm2_moe",
            "gemma3n" => "gemma3n_text",
            var other => throw Bad(_file, $"its architecture '{other}' is not read (llama, granite, smollm3, mistral3, qwen2, qwen2moe, qwen2vl, "
                + "qwen3, qwen3moe, qwen3vl, qwen3vlmoe, "
                + "qwen35, qwen35moe, phi2, phi3, gemma, gemma2, gemma3, gemma4, gpt-oss, olmo2, olmoe, glm4, glm4moe, lfm2, seed_oss, exaone4, ernie4_5, "
                + "hunyuan-dense, arcee, command-r, cohere2, starcoder2, stablelm, nemotron, qwen3next, deepseek2, apertus, falcon-h1, granitemoe, "
                + "granitehybrid, nemotron_h, nemotron_h_moe, llama4, lfm2moe and gemma3n are)"),
        };
        if (type == "llama" && Whole("expert_count", 0) > 0) type = "mixtral";
        int heads = Whole("attention.head_count"), hidden = Whole("embedding_length");
        _config["model_type"] = type;
        _config["hidden_size"] = hidden;
        // Layers that predict further tokens are counted with the others.
        _config["num_hidden_layers"] = Whole("block_count") - Whole("nextn_predict_layers", 0);
        _config["intermediate_size"] = type is "gpt_oss" or "olmoe" or "llama4_text"
            ? Whole("expert_feed_forward_length", Whole("feed_forward_length", 0))
            : type == "gemma4_text" ? Each("feed_forward_length").Min()
            : type == "nemotron_h" ? Kinds("feed_forward_length").Max()
            : type == "gemma3n_text" ? Each("feed_forward_length")[0]
            : Whole("feed_forward_length", type.EndsWith("moe_text", StringComparison.Ordinal) ? Whole("expert_feed_forward_length") : null);
        _config["num_attention_heads"] = heads;
        _config["num_key_value_heads"] = type == "gemma4_text" ? Each("attention.head_count_kv")[0]
            : type == "deepseek_v3" ? heads
            : type is "lfm2" or "lfm2_moe" or "nemotron_h" || _architecture == "granitehybrid" ? KvHeads().Max() : Whole("attention.head_count_kv", heads);
        var headSize = type == "deepseek_v3" ? Whole("rope.dimension_count") : Whole("attention.key_length", hidden / heads);
        if (type != "deepseek_v3" && Whole("attention.value_length", headSize) != headSize)
            throw Bad(_file, "its keys and values have heads of different sizes");
        _config["head_dim"] = headSize;
        _config[type switch
        {
            "cohere" or "cohere2" or "stablelm" or "phi" => "layer_norm_eps",
            "starcoder2" => "norm_epsilon",
            "nemotron" or "lfm2" or "lfm2_moe" => "norm_eps",
            "nemotron_h" => "layer_norm_epsilon",
            _ => "rms_norm_eps",
        }] = Number(Own("attention.layer_norm_epsilon") is null ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon");
        _config["max_position_embeddings"] = Whole("context_length");
        _config["vocab_size"] = Dimension("token_embd.weight", 1);
        _config["tie_word_embeddings"] = !_file.ByName.ContainsKey("output.weight");
        _config["attention_bias"] = _file.ByName.ContainsKey("blk.0.attn_q.bias") && type is not ("qwen2" or "qwen2_5_vl_text" or "qwen2_moe");
        _config["mlp_bias"] = _file.ByName.ContainsKey("blk.0.ffn_gate.bias");
        foreach (var (key, name) in new[] { ("bos_token_id", "bos_token_id"), ("eos_token_id", "eos_token_id") })
            if (_file.Find($"tokenizer.ggml.{key}")?.Value is uint id) _config[name] = id;
        if (type == "gemma4_text") Gemma4(headSize);
        else Rope(type, headSize);
        Family(type, hidden, headSize, heads);
        Hybrid(type);
        return _config;
    }

    private void Rope(string type, int headSize)
    {
        _config["rope_theta"] = Number("rope.freq_base", 10_000);
        var dimensions = Whole("rope.dimension_count", headSize);
        if ((dimensions != headSize && IsPartlyRotated(type)) || _architecture is "glm4" or "glm4moe" or "nemotron" or "stablelm" or "phi2" or "qwen3next")
            _config["partial_rotary_factor"] = (double)dimensions / headSize;
        var scaling = new JsonObject();
        // One list of divisors says all of llama 3's scaling: LongRoPE with the same list for short and long texts.
        if (_file.ByName.TryGetValue("rope_freqs.weight", out var factors)) LongRope(scaling, factors, factors, 1, Whole("context_length"));
        else if (_file.ByName.TryGetValue("rope_factors_long.weight", out var longer) && _file.ByName.TryGetValue("rope_factors_short.weight", out var shorter))
            LongRope(scaling, shorter, longer, Own("rope.scaling.attn_factor") is { } ? Number("rope.scaling.attn_factor") : null,
                Whole("rope.scaling.original_context_length"));
        else if (_file.Text($"{_architecture}.rope.scaling.type") is { } kind && kind != "none")
        {
            if (kind is not ("linear" or "yarn")) throw Bad(_file, $"its rope scaling '{kind}' is not read");
            (scaling["rope_type"], scaling["factor"]) = (kind, Number("rope.scaling.factor"));
            if (kind == "yarn") scaling["original_max_position_embeddings"] = Whole("rope.scaling.original_context_length");
            if (_architecture == "gpt-oss") scaling["truncate"] = false;
            if (_architecture is "mistral3" or "deepseek2")
            {
                Given(scaling, "beta_fast", "rope.scaling.yarn_beta_fast");
                Given(scaling, "beta_slow", "rope.scaling.yarn_beta_slow");
                Given(scaling, "mscale_all_dim", "rope.scaling.yarn_log_multiplier");
                // Of deepseek2 it lies there times a tenth, and cosine and sine are not multiplied.
                if (_architecture == "deepseek2" && scaling["mscale_all_dim"] is JsonValue share)
                    scaling["mscale_all_dim"] = Math.Round(share.GetValue<double>() * 10, 6);
                if (scaling.ContainsKey("mscale_all_dim")) scaling["mscale"] = _architecture == "deepseek2" ? scaling["mscale_all_dim"]!.DeepClone() : 1;
                Given(scaling, "llama_4_scaling_beta", "attention.temperature_scale");
                scaling["rope_theta"] = Number("rope.freq_base", 10_000);
                _config["rope_parameters"] = scaling;
                return;
            }
        }
        if (scaling.Count > 0) _config["rope_scaling"] = scaling;
    }

    private void LongRope(JsonObject scaling, GgufTensor shorter, GgufTensor longer, double? multiplier, int original)
    {
        scaling["rope_type"] = "longrope";
        scaling["short_factor"] = Factors(shorter);
        scaling["long_factor"] = Factors(longer);
        scaling["original_max_position_embeddings"] = original;
        if (multiplier is { } given) scaling["attention_factor"] = given;
    }

    private void Family(string type, int hidden, int headSize, int heads)
    {
        switch (type)
        {
            case "granite":
                _config["embedding_multiplier"] = Number("embedding_scale", 1);
                _config["residual_multiplier"] = Number("residual_scale", 1);
                _config["attention_multiplier"] = Number("attention.scale", 1 / Math.Sqrt(headSize));
                _config["logits_scaling"] = Number("logit_scale", 1);
                break;
            case "gemma2" or "gemma3_text":
                // llama.cpp has no key for the scale: the largest model of either generation divides the width by its heads.
                var isLargest = Whole("block_count") == (type == "gemma2" ? 46 : 62);
                _config["query_pre_attn_scalar"] = isLargest ? (double)hidden / heads : headSize;
                _config["sliding_window"] = Whole("attention.sliding_window");
                if (type == "gemma2") _config["attn_logit_softcapping"] = Number("attn_logit_softcapping", 50);
                if (type == "gemma2") _config["final_logit_softcapping"] = Number("final_logit_softcapping", 30);
                break;
            case "phi3":
                _config["sliding_window"] = Whole("attention.sliding_window", 0) is > 0 and var window ? window : null;
                break;
            case "gpt_oss" or "cohere2":
                _config["sliding_window"] = Whole("attention.sliding_window");
                break;
            case "olmo3" or "exaone4" when Own("attention.sliding_window") is not null:
                _config["sliding_window"] = Whole("attention.sliding_window");
                if (Own("attention.sliding_window_pattern") is bool[] slides)
                    _config["layer_types"] = new JsonArray([.. slides.Select(one => (JsonNode)(one ? "sliding_attention" : "full_attention"))]);
                break;
            case "starcoder2":
                _config["use_bias"] = _file.ByName.ContainsKey("blk.0.attn_q.bias");
                break;
            case "stablelm":
                _config["use_qkv_bias"] = _file.ByName.ContainsKey("blk.0.attn_q.bias");
                _config["use_parallel_residual"] = Own("use_parallel_residual") is true;
                _config["qk_layernorm"] = _file.ByName.ContainsKey("blk.0.attn_q_norm.weight");
                break;
            case "lfm2":
                ShortConvolutions();
                _config["block_auto_adjust_ff_dim"] = false;
                break;
            case "glm4_moe":
                Given(_config, "routed_scaling_factor", "expert_weights_scale");
                _config["norm_topk_prob"] = Own("expert_weights_norm") is not false;
                _config["n_shared_experts"] = Whole("expert_shared_count");
                _config["first_k_dense_replace"] = Whole("leading_dense_block_count", 0);
                _config["use_qk_norm"] = _file.ByName.ContainsKey("blk.0.attn_q_norm.weight");
                break;
            case "qwen3_5_text" or "qwen3_5_moe_text":
                Delta();
                break;
        }
        if (type is "cohere" or "cohere2") _config["logit_scale"] = Number("logit_scale");
        if (type is "cohere") _config["use_qk_norm"] = _file.ByName.ContainsKey("blk.0.attn_q_norm.weight");
        if (Whole("expert_count", 0) is > 0 and var experts)
        {
            _config[type switch
            {
                "mixtral" or "gpt_oss" or "granitemoe" or "granitemoehybrid" or "llama4_text" => "num_local_experts",
                "glm4_moe" or "deepseek_v3" or "nemotron_h" => "n_routed_experts",
                _ => "num_experts",
            }] = experts;
            _config[type == "gemma4_text" ? "top_k_experts" : "num_experts_per_tok"] = Whole("expert_used_count");
            if (type is not ("mixtral" or "gpt_oss" or "olmoe" or "granitemoe" or "granitemoehybrid" or "llama4_text"))
                _config["moe_intermediate_size"] = Whole(Own("expert_feed_forward_length") is null ? "feed_forward_length" : "expert_feed_forward_length");
            if (Own("expert_shared_feed_forward_length") is not null && type is "qwen2_moe" or "qwen3_5_moe_text")
                _config["shared_expert_intermediate_size"] = Whole("expert_shared_feed_forward_length");
            if (type == "qwen3_moe") _config["norm_topk_prob"] = true;
        }
        if (type.StartsWith("gemma", StringComparison.Ordinal)) _config["hidden_activation"] = "gelu_pytorch_tanh";
    }

    // Full layers are wider and turn a part of their pairs, sliding ones have keys of their own.
    private void Gemma4(int fullSize)
    {
        var layers = Whole("block_count");
        if (Own("attention.sliding_window_pattern") is not bool[] sliding || sliding.Length != layers)
            throw Bad(_file, $"'{_architecture}.attention.sliding_window_pattern' is no list of {layers} flags");
        var kvHeads = Each("attention.head_count_kv");
        var full = Array.IndexOf(sliding, false);
        if (full < 0 || Array.IndexOf(sliding, true) is not (>= 0 and var first)) throw Bad(_file, "it has no layer of one of the two kinds");
        _config["layer_types"] = new JsonArray([.. sliding.Select(one => (JsonNode)(one ? "sliding_attention" : "full_attention"))]);
        _config["num_key_value_heads"] = kvHeads[first];
        _config["attention_k_eq_v"] = !_file.ByName.ContainsKey($"blk.{full}.attn_v.weight");
        if (kvHeads[full] != kvHeads[first]) _config["num_global_key_value_heads"] = kvHeads[full];
        _config["global_head_dim"] = fullSize;
        _config["head_dim"] = Whole("attention.key_length_swa");
        _config["sliding_window"] = Whole("attention.sliding_window");
        _config["num_kv_shared_layers"] = Whole("attention.shared_kv_layers", 0);
        _config["use_double_wide_mlp"] = Each("feed_forward_length").Distinct().Count() > 1;
        _config["hidden_size_per_layer_input"] = Whole("embedding_length_per_layer_input", 0);
        if (_file.ByName.ContainsKey("per_layer_token_embd.weight")) _config["vocab_size_per_layer_input"] = Dimension("per_layer_token_embd.weight", 1);
        _config["final_logit_softcapping"] = Number("final_logit_softcapping", 30);
        _config["enable_moe_block"] = Whole("expert_count", 0) > 0;
        if (!_file.ByName.TryGetValue("rope_freqs.weight", out var factors)) throw Bad(_file, "tensor 'rope_freqs.weight' is missing");
        var turned = Factors(factors).Count(factor => factor!.GetValue<double>() == 1);
        _config["rope_parameters"] = new JsonObject
        {
            ["full_attention"] = new JsonObject { ["rope_type"] = "proportional", ["rope_theta"] = Number("rope.freq_base", 1_000_000),
                ["partial_rotary_factor"] = 2.0 * turned / fullSize },
            ["sliding_attention"] = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = Number("rope.freq_base_swa", 10_000) },
        };
    }

    private void Given(JsonObject target, string key, string own)
    {
        if (Own(own) is not null) target[key] = Number(own);
    }

    // 0 in layers that do not attend.
    private int[] KvHeads() => Own("attention.head_count_kv") is int[] values && values.All(value => value >= 0) && values.Max() > 0
        ? values : Each("attention.head_count_kv");

    // A number for every layer, written once where all are the same.
    private int[] Each(string key) => Own(key) switch
    {
        int[] values when values.Length > 0 && values.All(value => value > 0) => values,
        uint[] values when values.Length > 0 && values.All(value => value is > 0 and < int.MaxValue) => [.. values.Select(value => (int)value)],
        _ => [.. Enumerable.Repeat(Whole(key), Whole("block_count"))],
    };

    private JsonArray Factors(GgufTensor tensor)
    {
        if (tensor.Type != GgufTensorType.F32) throw Bad(_file, $"tensor '{tensor.Name}' is of type {tensor.Type}, expected F32");
        var values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(_file.Read(tensor)).ToArray();
        return new JsonArray([.. values.Select(value => (JsonNode)Shortest(value))]);
    }

    private long Dimension(string tensor, int at)
        => _file.ByName.TryGetValue(tensor, out var found) && found.Dimensions.Length > at
            ? found.Dimensions[at] : throw Bad(_file, $"tensor '{tensor}' is missing or has another shape");

    private object? Own(string key) => _file.Find($"{_architecture}.{key}")?.Value;

    private int Whole(string key, int? otherwise = null) => Own(key) switch
    {
        null => otherwise ?? throw Missing(key),
        uint value and <= int.MaxValue => (int)value,
        int value and >= 0 => value,
        ulong value and <= int.MaxValue => (int)value,
        var other =>
            throw Bad(_file,
            $"'{_architecture}.{key}' is "
            + $"{(other is Array ? "a list, one value for each layer, which is not read" : Convert.ToString(other, CultureInfo.InvariantCulture))}"),
    };

    private double Number(string key, double? otherwise = null) => Own(key) switch
    {
        null => otherwise ?? throw Missing(key),
        float value when float.IsFinite(value) => Shortest(value),
        double value when double.IsFinite(value) => value,
        var other => throw Bad(_file, $"'{_architecture}.{key}' is {Convert.ToString(other, CultureInfo.InvariantCulture)}, not a number"),
    };

    // 1e-6 was written as the nearest float: the shortest number that reads as this float is what the writer meant.
    private static double Shortest(float value) => double.Parse(value.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    private ModelException Missing(string key) => Bad(_file, $"it has no '{_architecture}.{key}'");

    internal static ModelException Bad(GgufFile file, string why) => new($"GGUF file '{file.Path}': {why}; take the model's original folder");
}
