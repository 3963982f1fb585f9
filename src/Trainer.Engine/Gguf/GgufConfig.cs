using System.Globalization;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;

namespace Trainer.Engine;

/// <summary>GGUF metadata as config.json: the inverse of <see cref="GgufModelMetadata"/>, for the same architectures and for qwen3moe.</summary>
internal sealed class GgufConfig
{
    private readonly GgufFile _file;
    private readonly string _architecture;
    private readonly JsonObject _config = [];

    private GgufConfig(GgufFile file) => (_file, _architecture) = (file, file.Text("general.architecture") ?? throw Bad(file, "it names no 'general.architecture'"));

    /// <summary>config.json.</summary>
    /// <exception cref="ModelException">An architecture or a rope scaling that is not read, or a key that is missing; it is named.</exception>
    public static JsonObject Of(GgufFile file)
    {
        if (file.Text("general.type") is { } kind && kind != "model") throw Bad(file, $"it is of type '{kind}', not a model");
        if (file.Find("split.count")?.Value is { } parts && Convert.ToInt64(parts, CultureInfo.InvariantCulture) > 1) throw Bad(file, $"it is one of {parts} parts; join them with llama.cpp's gguf-split --merge");
        return new GgufConfig(file).Build();
    }

    private JsonObject Build()
    {
        var type = _architecture switch
        {
            "llama" or "granite" or "smollm3" or "qwen2" or "qwen3" or "phi3" or "gemma" or "gemma2" or "olmo2" => _architecture,
            "gemma3" => "gemma3_text",
            "qwen3moe" => "qwen3_moe",
            var other => throw Bad(_file, $"its architecture '{other}' is not read (llama, granite, smollm3, qwen2, qwen3, qwen3moe, phi3, gemma, gemma2, gemma3 and olmo2 are)"),
        };
        if (_architecture == "llama" && Whole("expert_count", 0) > 0) throw Bad(_file, "it is a mixture of experts of architecture 'llama', which is not read");
        int heads = Whole("attention.head_count"), hidden = Whole("embedding_length");
        _config["model_type"] = type;
        _config["hidden_size"] = hidden;
        _config["num_hidden_layers"] = Whole("block_count");
        _config["intermediate_size"] = Whole("feed_forward_length");
        _config["num_attention_heads"] = heads;
        _config["num_key_value_heads"] = Whole("attention.head_count_kv", heads);
        var headSize = Whole("attention.key_length", hidden / heads);
        if (Whole("attention.value_length", headSize) != headSize) throw Bad(_file, "its keys and values have heads of different sizes");
        _config["head_dim"] = headSize;
        _config["rms_norm_eps"] = Number("attention.layer_norm_rms_epsilon");
        _config["max_position_embeddings"] = Whole("context_length");
        _config["vocab_size"] = Dimension("token_embd.weight", 1);
        _config["tie_word_embeddings"] = !_file.ByName.ContainsKey("output.weight");
        _config["attention_bias"] = _file.ByName.ContainsKey("blk.0.attn_q.bias") && type != "qwen2";
        _config["mlp_bias"] = _file.ByName.ContainsKey("blk.0.ffn_gate.bias");
        foreach (var (key, name) in new[] { ("bos_token_id", "bos_token_id"), ("eos_token_id", "eos_token_id") })
            if (_file.Find($"tokenizer.ggml.{key}")?.Value is uint id) _config[name] = id;
        Rope(headSize);
        Family(type, hidden, headSize, heads);
        return _config;
    }

    private void Rope(int headSize)
    {
        _config["rope_theta"] = Number("rope.freq_base", 10_000);
        var dimensions = Whole("rope.dimension_count", headSize);
        if (dimensions != headSize) _config["partial_rotary_factor"] = (double)dimensions / headSize;
        var scaling = new JsonObject();
        // One list of divisors says all of llama 3's scaling: LongRoPE with the same list for short and long texts.
        if (_file.ByName.TryGetValue("rope_freqs.weight", out var factors)) LongRope(scaling, factors, factors, 1, Whole("context_length"));
        else if (_file.ByName.TryGetValue("rope_factors_long.weight", out var longer) && _file.ByName.TryGetValue("rope_factors_short.weight", out var shorter))
            LongRope(scaling, shorter, longer, Own("rope.scaling.attn_factor") is { } ? Number("rope.scaling.attn_factor") : null, Whole("rope.scaling.original_context_length"));
        else if (_file.Text($"{_architecture}.rope.scaling.type") is { } kind && kind != "none")
        {
            if (kind is not ("linear" or "yarn")) throw Bad(_file, $"its rope scaling '{kind}' is not read");
            (scaling["rope_type"], scaling["factor"]) = (kind, Number("rope.scaling.factor"));
            if (kind == "yarn") scaling["original_max_position_embeddings"] = Whole("rope.scaling.original_context_length");
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
            case "qwen3_moe":
                _config["num_experts"] = Whole("expert_count");
                _config["num_experts_per_tok"] = Whole("expert_used_count");
                _config["moe_intermediate_size"] = Whole("expert_feed_forward_length");
                _config["norm_topk_prob"] = true;
                break;
        }
        if (type.StartsWith("gemma", StringComparison.Ordinal)) _config["hidden_activation"] = "gelu_pytorch_tanh";
    }

    private JsonArray Factors(GgufTensor tensor)
    {
        if (tensor.Type != GgufTensorType.F32) throw Bad(_file, $"tensor '{tensor.Name}' is of type {tensor.Type}, expected F32");
        var values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(_file.Read(tensor)).ToArray();
        return new JsonArray([.. values.Select(value => (JsonNode)Shortest(value))]);
    }

    private long Dimension(string tensor, int at) => _file.ByName.TryGetValue(tensor, out var found) && found.Dimensions.Length > at ? found.Dimensions[at] : throw Bad(_file, $"tensor '{tensor}' is missing or has another shape");

    private object? Own(string key) => _file.Find($"{_architecture}.{key}")?.Value;

    private int Whole(string key, int? otherwise = null) => Own(key) switch
    {
        null => otherwise ?? throw Missing(key),
        uint value and <= int.MaxValue => (int)value,
        int value and >= 0 => value,
        ulong value and <= int.MaxValue => (int)value,
        var other => throw Bad(_file, $"'{_architecture}.{key}' is {(other is Array ? "a list, one value for each layer, which is not read" : Convert.ToString(other, CultureInfo.InvariantCulture))}"),
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
